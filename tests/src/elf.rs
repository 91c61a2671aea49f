//! Reads as much of an ELF file as tells a static program from a dynamic one.

use crate::fault::{Fault, Result};

/// The program header type of a path to a dynamic loader (elf(5)).
const PT_INTERP: u32 = 3;

/// Returns true if a 64-bit little-endian ELF program asks for a dynamic loader.
pub fn interpreter(bytes: &[u8]) -> Result<bool> {
    headers(bytes).ok_or_else(|| Fault::new("not a 64-bit little-endian ELF program"))
}

fn headers(bytes: &[u8]) -> Option<bool> {
    if bytes.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let start = usize::try_from(u64::from_le_bytes(field(bytes, 32)?)).ok()?;
    let size = usize::from(u16::from_le_bytes(field(bytes, 54)?));
    let count = usize::from(u16::from_le_bytes(field(bytes, 56)?));
    let mut found = false;
    for index in 0..count {
        let kind = u32::from_le_bytes(field(bytes, start.checked_add(index.checked_mul(size)?)?)?);
        found |= kind == PT_INTERP;
    }
    Some(found)
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(kinds: &[u32]) -> Vec<u8> {
        let mut bytes = vec![0; 64 + kinds.len() * 56];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[32..40].copy_from_slice(&64_u64.to_le_bytes());
        bytes[54..56].copy_from_slice(&56_u16.to_le_bytes());
        bytes[56..58].copy_from_slice(&u16::try_from(kinds.len()).unwrap().to_le_bytes());
        for (index, kind) in kinds.iter().enumerate() {
            let at = 64 + index * 56;
            bytes[at..at + 4].copy_from_slice(&kind.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn a_loader_is_found_wherever_it_is_named() {
        assert!(!interpreter(&program(&[1, 2, 6])).unwrap());
        assert!(interpreter(&program(&[6, 3, 1])).unwrap());
        assert!(interpreter(b"#!/bin/sh").is_err());
        assert!(interpreter(&program(&[1])[..66]).is_err());
    }

    #[test]
    fn this_machines_shell_is_dynamic_and_this_test_is_static() {
        assert!(interpreter(&std::fs::read("/bin/sh").unwrap()).unwrap());
        assert!(!interpreter(&std::fs::read(std::env::current_exe().unwrap()).unwrap()).unwrap());
    }
}
