// Writes the java-*.batch files beside it with Kafka's own client library, and reads batch files with it.
//
//   java -cp <kafka-clients and its codecs> WriteGolden.java write <folder>
//   java -cp <kafka-clients and its codecs> WriteGolden.java read <file>...

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;

import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.CompressionType;
import org.apache.kafka.common.record.ControlRecordType;
import org.apache.kafka.common.record.EndTransactionMarker;
import org.apache.kafka.common.record.MemoryRecords;
import org.apache.kafka.common.record.MemoryRecordsBuilder;
import org.apache.kafka.common.record.Record;
import org.apache.kafka.common.record.RecordBatch;
import org.apache.kafka.common.record.TimestampType;

public class WriteGolden {
    static final long APPEND_TIME = 1_800_000_000_000L;

    public static void main(String[] arguments) throws Exception {
        if (arguments[0].equals("write")) {
            write(Path.of(arguments[1]));
        } else {
            for (String file : Arrays.copyOfRange(arguments, 1, arguments.length)) read(Path.of(file));
        }
    }

    static void write(Path folder) throws Exception {
        for (CompressionType codec : CompressionType.values()) {
            if (codec.id > 4) continue;
            save(folder, codec.name, three(codec, TimestampType.CREATE_TIME, 0));
            // More than one block of each codec.
            MemoryRecordsBuilder large = builder(codec, TimestampType.CREATE_TIME, 0);
            for (int index = 0; index < 3000; index++) {
                large.append(index, bytes("key" + index % 7), bytes("value " + index + " of many that are alike"));
            }
            if (codec != CompressionType.NONE) save(folder, codec.name + "-large", large.build());
        }
        save(folder, "append-time", three(CompressionType.LZ4, TimestampType.LOG_APPEND_TIME, 77));
        for (ControlRecordType kind : new ControlRecordType[] {ControlRecordType.ABORT, ControlRecordType.COMMIT}) {
            save(folder, kind.name().toLowerCase(), MemoryRecords.withEndTransactionMarker(
                77, 1_700_000_000_000L, 5, 9, (short) 1, new EndTransactionMarker(kind, 3)));
        }
    }

    static MemoryRecordsBuilder builder(CompressionType codec, TimestampType type, long baseOffset) {
        return MemoryRecords.builder(ByteBuffer.allocate(1 << 20), RecordBatch.MAGIC_VALUE_V2,
            Compression.of(codec).build(), type, baseOffset, APPEND_TIME, 9, (short) 1, 40, false, -1);
    }

    static MemoryRecords three(CompressionType codec, TimestampType type, long baseOffset) {
        MemoryRecordsBuilder builder = builder(codec, type, baseOffset);
        Header[] headers = {
            new RecordHeader("trace", bytes("a")), new RecordHeader("trace", bytes("b")),
            new RecordHeader("empty", bytes("")), new RecordHeader("null", null)};
        builder.append(1_700_000_000_000L, bytes("key"), bytes("value"), headers);
        builder.append(1_700_000_000_250L, (byte[]) null, null);
        builder.append(1_699_999_999_999L, bytes(""), bytes("abc".repeat(100)));
        return builder.build();
    }

    static void save(Path folder, String name, MemoryRecords records) throws Exception {
        byte[] bytes = new byte[records.sizeInBytes()];
        records.buffer().duplicate().get(bytes);
        Files.write(folder.resolve("java-" + name + ".batch"), bytes);
    }

    static void read(Path file) throws Exception {
        for (RecordBatch batch : MemoryRecords.readableRecords(ByteBuffer.wrap(Files.readAllBytes(file))).batches()) {
            batch.ensureValid();
            System.out.println(file.getFileName() + " " + batch.compressionType() + " " + batch.baseOffset() + ".."
                + batch.lastOffset() + " producer " + batch.producerId() + " control " + batch.isControlBatch()
                + " " + batch.timestampType() + " max " + batch.maxTimestamp());
            int shown = 0;
            long records = 0;
            for (Record record : batch) {
                records++;
                if (shown++ < 3) System.out.println("  " + record.offset() + " @" + record.timestamp() + " "
                    + text(record.key()) + " = " + text(record.value()) + " " + Arrays.toString(record.headers()));
            }
            System.out.println("  " + records + " records");
        }
    }

    static String text(ByteBuffer buffer) {
        return buffer == null ? "null" : "'" + StandardCharsets.UTF_8.decode(buffer.duplicate()) + "'";
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
