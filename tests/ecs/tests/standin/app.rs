//! The program inside the test image: a small HTTP server without dependencies, whose behaviour is set by its environment.
//! CRASH=code ends it after a moment; HEALTH=status is what /health answers; /env/NAME shows a variable.

use std::io::{Read, Write};
use std::net::TcpListener;

fn main() {
    let variable = |name: &str| std::env::var(name).ok();
    println!("arguments {:?}", std::env::args().skip(1).collect::<Vec<_>>());
    if let Some(code) = variable("CRASH") {
        std::thread::sleep(std::time::Duration::from_millis(100));
        eprintln!("cannot reach the database");
        std::process::exit(code.parse().unwrap());
    }
    let health = variable("HEALTH").unwrap_or_else(|| "200".to_owned());
    let listener = TcpListener::bind("0.0.0.0:8080").unwrap();
    println!("listening");
    for stream in listener.incoming() {
        let health = health.clone();
        std::thread::spawn(move || {
            let mut stream = stream.unwrap();
            let mut buffer = [0; 4096];
            let size = stream.read(&mut buffer).unwrap_or(0);
            let request = String::from_utf8_lossy(&buffer[..size]).into_owned();
            let path = request.split(' ').nth(1).unwrap_or("/").to_owned();
            let (status, body) = match path.strip_prefix("/env/") {
                Some(name) => ("200".to_owned(), std::env::var(name).unwrap_or_default()),
                None if path == "/health" => (health, String::new()),
                None => ("200".to_owned(), std::env::var("VERSION").unwrap_or_default()),
            };
            let _ = write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
        });
    }
}
