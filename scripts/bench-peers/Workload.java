// One workload for Kafka, with its own Java client, as a single line of figures of the measured part alone:
//
//   java -cp <Kafka's jars> Workload.java produce|consume|ack|read|rate <settings, as name=value>
//
//   produce, consume:  <records a second> <broker's CPU seconds> <client's CPU seconds> <records>
//   ack, read, rate:   <p50> <p99> <p99.9 in microseconds> <broker's CPU seconds> <client's CPU seconds> <records>
//
// The topic is made before and deleted after. Every part runs a warm-up first, in the same process, so that both JVMs
// have compiled what they run. Not Kafka's own perf tests: they make random bytes for each record, which costs more than
// sending it, and tell latencies in whole milliseconds.

import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class Workload {
    private static final String TOPIC = "bench";
    private static final long WARM_UP_NANOS = 4_000_000_000L;
    private static final long MEASURED_NANOS = 5_000_000_000L;

    private final Map<String, String> given = new HashMap<>();
    private final int partitions;
    private final byte[] value;

    private Workload(String[] args) {
        for (String arg : Arrays.asList(args).subList(1, args.length)) {
            given.put(arg.split("=", 2)[0], arg.split("=", 2)[1]);
        }
        partitions = (int) number("partitions");
        value = new byte[(int) number("size")];
        new java.util.Random(7).nextBytes(value);
    }

    public static void main(String[] args) throws Exception {
        Workload workload = new Workload(args);
        try (Admin admin = Admin.create(workload.settings())) {
            var flush = workload.given.get("flushed").equals("yes") ? Map.of("flush.messages", "1") : Map.<String, String>of();
            var topic = new NewTopic(TOPIC, workload.partitions, (short) 1).configs(flush);
            admin.createTopics(List.of(topic)).all().get();
            try {
                switch (args[0]) {
                    case "produce" -> workload.produce();
                    case "consume" -> workload.consume();
                    case "ack", "read" -> workload.oneAtATime(args[0].equals("read"));
                    case "rate" -> workload.atRate();
                    default -> throw new IllegalArgumentException(args[0]);
                }
            } finally {
                admin.deleteTopics(List.of(TOPIC)).all().get();
            }
        }
    }

    private void produce() throws Exception {
        long records = number("records");
        try (var producer = producer(batches())) {
            send(producer, records / 2);
            Spent spent = new Spent();
            send(producer, records);
            System.out.printf("%.1f %s%n", spent.rate(records), spent.told(records));
        }
    }

    private void consume() throws Exception {
        long records = number("records");
        try (var producer = producer(batches()); var consumer = consumer()) {
            send(producer, records);
            var all = IntStream.range(0, partitions).mapToObj(at -> new TopicPartition(TOPIC, at)).toList();
            consumer.assign(all);
            read(consumer, all, records);
            Spent spent = new Spent();
            read(consumer, all, records);
            System.out.printf("%.1f %s%n", spent.rate(records), spent.told(records));
        }
    }

    private void oneAtATime(boolean reads) throws Exception {
        long[] nanos = new long[10_000_000];
        int count = 0;
        try (var producer = producer(Map.of("linger.ms", "0")); var consumer = consumer()) {
            TopicPartition partition = new TopicPartition(TOPIC, 0);
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            Spent spent = null;
            long started = System.nanoTime();
            long sent;
            while ((sent = System.nanoTime()) - started < WARM_UP_NANOS + MEASURED_NANOS && count < nanos.length) {
                if (spent == null && sent - started > WARM_UP_NANOS) {
                    spent = new Spent();
                }
                var answer = producer.send(new ProducerRecord<>(TOPIC, 0, null, value));
                if (reads) {
                    while (consumer.poll(Duration.ofSeconds(5)).isEmpty()) {
                        // Nothing yet.
                    }
                } else {
                    answer.get();
                }
                if (spent != null) {
                    nanos[count++] = System.nanoTime() - sent;
                }
            }
            System.out.println(percentiles(nanos, count) + " " + spent.told(count));
        }
    }

    /** Latency counts from the moment at which a record was due, whenever it was sent. */
    private void atRate() throws Exception {
        double nanosEach = 1e9 / number("rate");
        int warm = (int) (WARM_UP_NANOS / nanosEach), all = warm + (int) (MEASURED_NANOS / nanosEach);
        long[] nanos = new long[all];
        AtomicInteger count = new AtomicInteger();
        try (var producer = producer(Map.of("linger.ms", "0"))) {
            Spent spent = null;
            long started = System.nanoTime();
            for (int place = 0; place < all; place++) {
                if (place == warm) {
                    spent = new Spent();
                }
                long due = started + (long) (place * nanosEach), early;
                while ((early = due - System.nanoTime()) > 0) {
                    LockSupport.parkNanos(early);
                }
                boolean measured = place >= warm;
                producer.send(new ProducerRecord<>(TOPIC, 0, null, value), (answer, error) -> {
                    stopOn(error);
                    if (measured) {
                        nanos[count.getAndIncrement()] = System.nanoTime() - due;
                    }
                });
            }
            producer.flush();
            System.out.println(percentiles(nanos, count.get()) + " " + spent.told(all - warm));
        }
    }

    private void send(KafkaProducer<byte[], byte[]> producer, long records) {
        for (long sent = 0; sent < records; sent++) {
            producer.send(new ProducerRecord<>(TOPIC, value), (answer, error) -> stopOn(error));
        }
        producer.flush();
    }

    private static void read(KafkaConsumer<byte[], byte[]> consumer, List<TopicPartition> all, long records) {
        consumer.seekToBeginning(all);
        long read = 0, bytes = 0;
        while (read < records) {
            for (var record : consumer.poll(Duration.ofSeconds(5))) {
                read++;
                bytes += record.value().length;
            }
        }
        if (bytes == 0) {
            throw new IllegalStateException("no bytes in " + read + " records");
        }
    }

    private static void stopOn(Exception error) {
        if (error != null) {
            error.printStackTrace();
            Runtime.getRuntime().halt(1);
        }
    }

    private Properties settings() {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", given.get("address"));
        return settings;
    }

    private Map<String, String> batches() {
        return Map.of("batch.size", given.get("batch"), "linger.ms", "5", "buffer.memory", "67108864", "max.request.size", "8388608");
    }

    private KafkaProducer<byte[], byte[]> producer(Map<String, String> more) {
        Properties settings = settings();
        settings.put("acks", "all");
        settings.putAll(more);
        return new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
    }

    private KafkaConsumer<byte[], byte[]> consumer() {
        Properties settings = settings();
        settings.putAll(Map.of("fetch.min.bytes", "1", "max.partition.fetch.bytes", "4194304",
            "fetch.max.bytes", "67108864", "receive.buffer.bytes", "2097152", "max.poll.records", "10000"));
        return new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private long number(String name) {
        return Long.parseLong(given.get(name));
    }

    private static String percentiles(long[] nanos, int count) {
        long[] sorted = Arrays.copyOf(nanos, count);
        Arrays.sort(sorted);
        return "%.1f %.1f %.1f".formatted(at(sorted, 0.5), at(sorted, 0.99), at(sorted, 0.999));
    }

    private static double at(long[] sorted, double part) {
        return sorted[Math.min(sorted.length - 1, (int) (sorted.length * part))] / 1000.0;
    }

    /** Time and CPU time since it was made. */
    private final class Spent {
        private final long started = System.nanoTime();
        private final double broker = brokerSeconds();
        private final double client = clientSeconds();

        private double rate(long records) {
            return records * 1e9 / (System.nanoTime() - started);
        }

        private String told(long records) throws Exception {
            return "%.2f %.2f %d".formatted(brokerSeconds() - broker, clientSeconds() - client, records);
        }

        private double brokerSeconds() throws RuntimeException {
            try {
                String stat = Files.readString(Path.of("/proc/" + given.get("pid") + "/stat"));
                String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ");
                return (Long.parseLong(fields[11]) + Long.parseLong(fields[12])) / 100.0;
            } catch (java.io.IOException error) {
                throw new java.io.UncheckedIOException(error);
            }
        }

        private static double clientSeconds() {
            var system = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
            return system.getProcessCpuTime() / 1e9;
        }
    }
}
