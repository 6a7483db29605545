//! A SQL query as golden records.
