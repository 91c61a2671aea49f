//! Tests of what a template declares.
