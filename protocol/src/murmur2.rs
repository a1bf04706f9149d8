//! The hash that ties a key to a partition: murmur2 with the seed and the sign mask of Kafka's Java client.
