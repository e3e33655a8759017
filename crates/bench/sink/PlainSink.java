import java.io.BufferedOutputStream;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.URI;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.zip.GZIPOutputStream;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.core.checksums.RequestChecksumCalculation;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.http.urlconnection.UrlConnectionHttpClient;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.s3.S3Client;

/**
 * The least that a sink in Java can do: polls a topic, gzips the values as lines, one object of 32 MiB after the other
 * for each partition, and commits an offset once its object is in S3. At least once, with no checksum of the content, no
 * folder by time, no place for what is no line.
 *
 * <p>Says {@code first} when it has the first record and {@code done} when everything that the topic held at its start is
 * in S3, then goes on until it is killed, so that it can be looked at from outside.
 */
public final class PlainSink {
    private static final int OBJECT_BYTES = 32 << 20;

    private final KafkaConsumer<byte[], byte[]> consumer;
    private final S3Client s3;
    private final String bucket;
    private final int level;
    private final Map<TopicPartition, Part> parts = new HashMap<>();

    public static void main(String[] arguments) throws IOException, InterruptedException {
        if (arguments.length != 6) {
            System.err.println("usage: PlainSink BOOTSTRAP TOPIC GROUP S3_ENDPOINT BUCKET LEVEL");
            System.exit(64);
        }
        Properties config = new Properties();
        config.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
        config.put(ConsumerConfig.GROUP_ID_CONFIG, arguments[2]);
        config.put(ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed");
        config.put(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, false);
        config.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        config.put(ConsumerConfig.KEY_DESERIALIZER_CLASS_CONFIG, ByteArrayDeserializer.class);
        config.put(ConsumerConfig.VALUE_DESERIALIZER_CLASS_CONFIG, ByteArrayDeserializer.class);
        config.put(ConsumerConfig.MAX_POLL_RECORDS_CONFIG, 20_000);
        config.put(ConsumerConfig.FETCH_MIN_BYTES_CONFIG, 1 << 20);
        config.put(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG, 4 << 20);
        config.put(ConsumerConfig.RECEIVE_BUFFER_CONFIG, 1 << 20);
        S3Client s3 = S3Client.builder()
                .endpointOverride(URI.create(arguments[3]))
                .region(Region.EU_WEST_2)
                .credentialsProvider(StaticCredentialsProvider.create(AwsBasicCredentials.create("test", "test")))
                .forcePathStyle(true)
                .httpClient(UrlConnectionHttpClient.create())
                // A checksum beside the signature's SHA-256 would cost it time and bring nothing.
                .requestChecksumCalculation(RequestChecksumCalculation.WHEN_REQUIRED)
                .serviceConfiguration(service -> service.chunkedEncodingEnabled(false))
                .build();
        PlainSink sink = new PlainSink(new KafkaConsumer<>(config), s3, arguments[4], Integer.parseInt(arguments[5]));
        sink.drain(arguments[1]);
        System.out.println("done");
        Thread.currentThread().join();
    }

    private PlainSink(KafkaConsumer<byte[], byte[]> consumer, S3Client s3, String bucket, int level) {
        this.consumer = consumer;
        this.s3 = s3;
        this.bucket = bucket;
        this.level = level;
    }

    private void drain(String topic) throws IOException {
        List<TopicPartition> partitions = consumer.partitionsFor(topic).stream()
                .map(info -> new TopicPartition(info.topic(), info.partition()))
                .toList();
        Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
        consumer.subscribe(List.of(topic));
        boolean first = true;
        while (!ends.isEmpty()) {
            ConsumerRecords<byte[], byte[]> polled = consumer.poll(Duration.ofMillis(100));
            if (first && !polled.isEmpty()) {
                System.out.println("first");
                first = false;
            }
            for (TopicPartition partition : polled.partitions()) {
                Part part = parts.computeIfAbsent(partition, any -> new Part());
                for (ConsumerRecord<byte[], byte[]> record : polled.records(partition)) {
                    part.add(record);
                }
                boolean last = part.next >= ends.get(partition);
                if (last || part.body.size() >= OBJECT_BYTES) {
                    put(partition, part);
                }
                if (last) {
                    ends.remove(partition);
                }
            }
        }
    }

    private void put(TopicPartition partition, Part part) throws IOException {
        part.lines.close();
        String key = "raw/%s-p%05d-o%020d-%020d.ndjson.gz"
                .formatted(partition.topic(), partition.partition(), part.start, part.next);
        Map<String, String> metadata = Map.of("records", Long.toString(part.records));
        s3.putObject(request -> request.bucket(bucket).key(key).metadata(metadata), part.body.toRequest());
        consumer.commitSync(Map.of(partition, new OffsetAndMetadata(part.next)));
        part.open();
    }

    /** The object of one partition that is being filled. */
    private final class Part {
        private final Body body = new Body();
        private OutputStream lines;
        private long start;
        private long next;
        private long records;

        Part() {
            try {
                open();
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
        }

        void open() throws IOException {
            body.reset();
            // Written in large pieces: every call of the deflater is one into native code.
            lines = new BufferedOutputStream(new Gzip(body, level), 256 << 10);
            records = 0;
        }

        void add(ConsumerRecord<byte[], byte[]> record) throws IOException {
            if (records == 0) {
                start = record.offset();
            }
            lines.write(record.value());
            lines.write('\n');
            next = record.offset() + 1;
            records++;
        }
    }

    /** Bytes that are uploaded from where they lie. */
    private static final class Body extends ByteArrayOutputStream {
        Body() {
            super(OBJECT_BYTES + (4 << 20));
        }

        RequestBody toRequest() {
            return RequestBody.fromContentProvider(
                    () -> new ByteArrayInputStream(buf, 0, count), count, "application/gzip");
        }
    }

    /** Gzip of a level. */
    private static final class Gzip extends GZIPOutputStream {
        Gzip(OutputStream out, int level) throws IOException {
            super(out, 64 << 10);
            def.setLevel(level);
        }
    }
}
