import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.Suppressed;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.Windowed;

/**
 * What the aggregator does, as one would write it with Kafka Streams: pageviews by postcode and minute, exactly once,
 * each window's count written once when it closes.
 *
 * <p>Says {@code first} when it has the first event and {@code done} when all have gone through the topology, then
 * goes on until it is killed, so that it can be looked at from outside.
 */
public final class PageviewStreams {
    private static final ObjectReader JSON = new ObjectMapper().readerFor(Pageview.class);
    private static final DateTimeFormatter MINUTE = DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ss");

    @JsonIgnoreProperties(ignoreUnknown = true)
    record Pageview(long user_id, String postcode, String webpage, long timestamp) {}

    public static void main(String[] arguments) throws InterruptedException {
        if (arguments.length != 7) {
            System.err.println("usage: PageviewStreams BOOTSTRAP TOPIC OUTPUT APPLICATION STATE_FOLDER EVENTS COMMIT_MS");
            System.exit(64);
        }
        Properties config = new Properties();
        config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
        config.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments[3]);
        config.put(StreamsConfig.STATE_DIR_CONFIG, arguments[4]);
        config.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, arguments[6]);
        config.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        config.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2);

        AtomicLong seen = new AtomicLong();
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(arguments[1], Consumed.with(Serdes.String(), pageviews())
                        .withTimestampExtractor(PageviewStreams::eventTime))
                .peek((postcode, pageview) -> {
                    if (seen.incrementAndGet() == 1) {
                        System.out.println("first");
                    }
                })
                .groupByKey(Grouped.with(Serdes.String(), pageviews()))
                .windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofMinutes(1), Duration.ofSeconds(30)))
                .count()
                .suppress(Suppressed.untilWindowCloses(Suppressed.BufferConfig.unbounded()))
                .toStream()
                .map((window, count) -> KeyValue.pair(window.key(), row(window, count)))
                .to(arguments[2], Produced.with(Serdes.String(), Serdes.String()));

        KafkaStreams streams = new KafkaStreams(builder.build(), config);
        streams.start();
        long events = Long.parseLong(arguments[5]);
        while (seen.get() < events) {
            if (!streams.state().isRunningOrRebalancing() && streams.state() != KafkaStreams.State.CREATED) {
                System.err.println("Kafka Streams is in state " + streams.state());
                System.exit(1);
            }
            Thread.sleep(10);
        }
        System.out.println("done");
        Thread.currentThread().join();
    }

    /** The aggregator's stream time: a clock that runs ahead of ingestion closes nobody's window. */
    private static long eventTime(ConsumerRecord<Object, Object> record, long partitionTime) {
        return Math.min(((Pageview) record.value()).timestamp() * 1000, record.timestamp());
    }

    private static String row(Windowed<String> window, long count) {
        LocalDateTime start = LocalDateTime.ofInstant(window.window().startTime(), ZoneOffset.UTC);
        return "{\"postcode\":\"" + window.key() + "\",\"window_start\":\"" + MINUTE.format(start)
                + "\",\"pageview_count\":" + count + "}";
    }

    private static Serde<Pageview> pageviews() {
        Deserializer<Pageview> read = (topic, bytes) -> {
            try {
                return JSON.readValue(bytes);
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
        };
        // Nothing is written through it: the key is the postcode already, so there is no repartition topic.
        Serializer<Pageview> write = (topic, pageview) -> {
            throw new UnsupportedOperationException("pageviews are only read");
        };
        return Serdes.serdeFrom(write, read);
    }
}
