//! Variable-length integers as in Kafka's record format: 7 bits a byte, least significant first; signed
//! ones zigzag-coded.
