import java.io.File;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Future;

import kafka.server.KafkaConfig;
import kafka.server.KafkaRaftServer;
import kafka.tools.StorageTool;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.Time;

/**
 * Starts one Kafka broker within this process, on free ports of the loopback address, has a few topics written
 * by Kafka's own producer, and stops it. The only argument is an empty folder for everything.
 *
 * What is written must be what `broker/storage/tests/kafka_segments.rs` expects.
 */
public final class WriteSegments {
    static final long START_MS = 1_700_000_000_000L;
    static final int RECORDS = 60;
    /** A batch has so many; a transaction has two of them. */
    static final int BATCH_RECORDS = 5;

    public static void main(String[] args) throws Exception {
        Path root = Path.of(args[0]).toAbsolutePath();
        int brokerPort = freePort();
        int controllerPort = freePort();
        Properties settings = settings(root, brokerPort, controllerPort);
        Path file = root.resolve("server.properties");
        try (var out = Files.newOutputStream(file)) {
            settings.store(out, null);
        }
        String[] format = {"format", "--config", file.toString(), "--cluster-id", "AAECAwQFBgcICQoLDA0ODw"};
        if (StorageTool.execute(format, System.out) != 0) {
            throw new IllegalStateException("the folder could not be formatted");
        }
        KafkaRaftServer broker = new KafkaRaftServer(KafkaConfig.fromProps(settings), Time.SYSTEM);
        broker.startup();
        try {
            write("127.0.0.1:" + brokerPort);
        } finally {
            broker.shutdown();
            broker.awaitShutdown();
        }
        System.exit(0);
    }

    static void write(String address) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", address))) {
            for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
                createTopic(admin, codec, "CreateTime");
                produce(address, codec, codec, !codec.equals("gzip"));
            }
            createTopic(admin, "log-append-time", "LogAppendTime");
            produce(address, "log-append-time", "lz4", true);
            createTopic(admin, "transactions", "CreateTime");
            produceTransactions(address);
        }
    }

    static void createTopic(Admin admin, String name, String timestampType) throws Exception {
        Map<String, String> config = new HashMap<>();
        // The smallest segment by size is 1 MiB, so that they are rolled by age: see timestamp().
        config.put("segment.ms", "60000");
        config.put("retention.ms", "-1");
        config.put("index.interval.bytes", "300");
        config.put("message.timestamp.type", timestampType);
        admin.createTopics(List.of(new NewTopic(name, 1, (short) 1).configs(config))).all().get();
    }

    static Map<String, Object> options(String address, String codec) {
        Map<String, Object> options = new HashMap<>();
        options.put("bootstrap.servers", address);
        options.put("compression.type", codec);
        // Batches end where flush() is called, and only there.
        options.put("linger.ms", 60_000);
        options.put("batch.size", 100_000);
        return options;
    }

    static void produce(String address, String topic, String codec, boolean idempotent) throws Exception {
        Map<String, Object> options = options(address, codec);
        options.put("enable.idempotence", idempotent);
        try (var producer = new KafkaProducer<>(options, new ByteArraySerializer(), new ByteArraySerializer())) {
            for (int i = 0; i < RECORDS; i += BATCH_RECORDS) {
                sendBatch(producer, topic, i);
            }
        }
    }

    /** Each of two batches; the third one is aborted. */
    static void produceTransactions(String address) throws Exception {
        Map<String, Object> options = options(address, "none");
        options.put("transactional.id", "golden");
        try (var producer = new KafkaProducer<>(options, new ByteArraySerializer(), new ByteArraySerializer())) {
            producer.initTransactions();
            for (int i = 0; i < RECORDS; i += 2 * BATCH_RECORDS) {
                producer.beginTransaction();
                sendBatch(producer, "transactions", i);
                sendBatch(producer, "transactions", i + BATCH_RECORDS);
                if (i == 4 * BATCH_RECORDS) {
                    producer.abortTransaction();
                } else {
                    producer.commitTransaction();
                }
            }
        }
    }

    static void sendBatch(KafkaProducer<byte[], byte[]> producer, String topic, int from) throws Exception {
        Future<RecordMetadata> last = null;
        for (int i = from; i < from + BATCH_RECORDS; i++) {
            last = producer.send(record(topic, i));
        }
        producer.flush();
        last.get();
    }

    static ProducerRecord<byte[], byte[]> record(String topic, int i) {
        byte[] key = i % 4 == 0 ? null : ("key " + i % 10).getBytes(StandardCharsets.UTF_8);
        byte[] value = i % 7 == 6 ? null : ("row " + i + " of the river; ").repeat(i % 6).getBytes(StandardCharsets.UTF_8);
        RecordHeaders headers = new RecordHeaders();
        for (int h = 0; h < i % 4; h++) {
            headers.add(h == 2 ? "naïve" : "trace", h == 1 ? null : new byte[] {0, (byte) 0xff, (byte) i});
        }
        return new ProducerRecord<>(topic, 0, timestamp(i), key, value, headers);
    }

    /** Twenty records lie within a minute, the next ones an hour later; they do not rise one by one. */
    static long timestamp(int i) {
        return START_MS + i / 20 * 3_600_000L + i % 20 * 1000L - (i % 3 == 2 ? 2500 : 0);
    }

    static Properties settings(Path root, int brokerPort, int controllerPort) {
        Properties settings = new Properties();
        settings.setProperty("process.roles", "broker,controller");
        settings.setProperty("node.id", "1");
        settings.setProperty("log.dirs", root.resolve("logs").toString());
        settings.setProperty("controller.quorum.voters", "1@127.0.0.1:" + controllerPort);
        settings.setProperty("controller.listener.names", "CONTROLLER");
        String listeners = "PLAINTEXT://127.0.0.1:" + brokerPort + ",CONTROLLER://127.0.0.1:" + controllerPort;
        settings.setProperty("listeners", listeners);
        settings.setProperty("advertised.listeners", "PLAINTEXT://127.0.0.1:" + brokerPort);
        settings.setProperty("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT");
        for (String topic : List.of("offsets.topic", "transaction.state.log")) {
            settings.setProperty(topic + ".replication.factor", "1");
            settings.setProperty(topic + ".num.partitions", "1");
        }
        settings.setProperty("transaction.state.log.min.isr", "1");
        settings.setProperty("auto.create.topics.enable", "false");
        return settings;
    }

    static int freePort() throws Exception {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getByName("127.0.0.1"))) {
            return socket.getLocalPort();
        }
    }
}
