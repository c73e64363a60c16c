package io.github.fdfs;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Executor;

/** What a client is told. What is left out keeps its default. */
public final class FdfsClientBuilder {
    private final List<String> trackers = new ArrayList<>();
    private final Map<String, String> addressMap = new LinkedHashMap<>();
    private String conf;
    private String group;
    private String tokenSecret;
    private long connectTimeout = -1;
    private long ioTimeout = -1;
    private long timeout = -1;
    private int poolSize = -1;
    private int retries = -1;
    private Executor executor;

    FdfsClientBuilder() {}

    /**
     * Names trackers.
     *
     * @param trackers each {@code host[:port]}, {@code [v6]:port} or {@code IP1,IP2:port}
     * @return this
     */
    public FdfsClientBuilder trackers(String... trackers) {
        this.trackers.addAll(Arrays.asList(trackers));
        return this;
    }

    /**
     * Takes what a {@code client.conf} says; what is set here counts more. {@code storage.conf} and
     * {@code mod_fastdfs.conf} serve as well.
     *
     * @param path the file
     * @return this
     */
    public FdfsClientBuilder conf(Path path) {
        conf = path.toString();
        return this;
    }

    /**
     * Names the group for uploads that name none; otherwise the tracker chooses.
     *
     * @param group its name
     * @return this
     */
    public FdfsClientBuilder group(String group) {
        this.group = group;
        return this;
    }

    /**
     * Bounds the time until a connection stands: 5 seconds unless set.
     *
     * @param timeout more than zero
     * @return this
     * @throws FdfsInvalidArgumentException when it is not more than zero
     */
    public FdfsClientBuilder connectTimeout(Duration timeout) {
        connectTimeout = CallOptions.nanos(timeout, "connect timeout");
        return this;
    }

    /**
     * Bounds the time without a byte: 30 seconds unless set.
     *
     * @param timeout more than zero
     * @return this
     * @throws FdfsInvalidArgumentException when it is not more than zero
     */
    public FdfsClientBuilder ioTimeout(Duration timeout) {
        ioTimeout = CallOptions.nanos(timeout, "io timeout");
        return this;
    }

    /**
     * Bounds the time of each whole call: unlimited unless set. A call's own option counts more.
     *
     * @param timeout more than zero
     * @return this
     * @throws FdfsInvalidArgumentException when it is not more than zero
     */
    public FdfsClientBuilder timeout(Duration timeout) {
        this.timeout = CallOptions.nanos(timeout, "timeout");
        return this;
    }

    /**
     * Bounds the connections to each server: 16 unless set.
     *
     * @param poolSize at least 1
     * @return this
     * @throws FdfsInvalidArgumentException when it is less
     */
    public FdfsClientBuilder poolSize(int poolSize) {
        if (poolSize < 1) {
            throw new FdfsInvalidArgumentException("pool size " + poolSize + ": at least 1");
        }
        this.poolSize = poolSize;
        return this;
    }

    /**
     * Sets how often a call that has changed nothing yet is tried again: 2 unless set.
     *
     * @param retries 0 or more
     * @return this
     * @throws FdfsInvalidArgumentException when it is negative
     */
    public FdfsClientBuilder retries(int retries) {
        if (retries < 0) {
            throw new FdfsInvalidArgumentException("retries " + retries + ": 0 or more");
        }
        this.retries = retries;
        return this;
    }

    /**
     * Says where a storage really is: for clients outside of the network in which the storages know
     * themselves.
     *
     * @param advertised {@code host[:port]} as trackers name it; without a port, all of that host
     * @param real {@code host[:port]} where it is; without a port, the port stays
     * @return this
     */
    public FdfsClientBuilder mapAddress(String advertised, String real) {
        Objects.requireNonNull(real, "real");
        addressMap.put(Objects.requireNonNull(advertised, "advertised"), real);
        return this;
    }

    /**
     * Sets the secret for tokens in URLs. It appears in no log and no message.
     *
     * @param secret shared with the web front
     * @return this
     */
    public FdfsClientBuilder tokenSecret(String secret) {
        tokenSecret = secret;
        return this;
    }

    /**
     * Sets where the futures of the asynchronous client complete: the common pool unless set. With
     * {@code Runnable::run} it is the threads of the core, which is faster; callbacks must be quick
     * then and never wait.
     *
     * @param executor runs what is chained to the futures
     * @return this
     */
    public FdfsClientBuilder executor(Executor executor) {
        this.executor = executor;
        return this;
    }

    /**
     * Makes the client. It connects when it is used.
     *
     * @return the client; close it at the end
     * @throws FdfsConfigException when no tracker is named, or something set is wrong
     */
    public FdfsClient build() {
        String[] names = trackers.toArray(new String[0]);
        String[] map = UploadOptions.items(addressMap);
        long[] number = new long[1];
        Operation.Answer<Session> answer = (count, value) -> new Session(number[0]);
        Operation.Start start =
                op -> {
                    number[0] = op;
                    Native.connect(
                            op,
                            conf,
                            names,
                            group,
                            tokenSecret,
                            map,
                            connectTimeout,
                            ioTimeout,
                            timeout,
                            poolSize,
                            retries);
                };
        return new FdfsClient(Operation.start(answer, start).await(), executor);
    }
}
