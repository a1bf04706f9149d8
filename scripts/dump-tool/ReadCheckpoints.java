import java.io.File;
import java.util.stream.Collectors;

import org.apache.kafka.storage.internals.checkpoint.LeaderEpochCheckpointFile;
import org.apache.kafka.storage.internals.checkpoint.PartitionMetadataFile;
import org.apache.kafka.storage.internals.log.LogDirFailureChannel;

/** Reads two small files of partitions, which the dump tool ignores, with the classes by which Kafka's broker does. */
public final class ReadCheckpoints {
    public static void main(String[] folders) throws Exception {
        for (String name : folders) {
            File folder = new File(name);
            LogDirFailureChannel failures = new LogDirFailureChannel(1);
            File epochFile = LeaderEpochCheckpointFile.newFile(folder);
            File metadataFile = PartitionMetadataFile.newFile(folder);
            if (!epochFile.exists() || !metadataFile.exists()) {
                throw new IllegalStateException(folder + " lacks a file");
            }
            String epochs = new LeaderEpochCheckpointFile(epochFile, failures).read().stream()
                .map(entry -> entry.epoch() + "@" + entry.startOffset())
                .collect(Collectors.joining(" "));
            var metadata = new PartitionMetadataFile(metadataFile, failures).read();
            System.out.println(folder.getName() + " " + metadata.version() + " " + metadata.topicId() + " " + epochs);
        }
    }
}
