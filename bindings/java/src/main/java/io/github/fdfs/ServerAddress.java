package io.github.fdfs;

/** Where a server is. Immutable. */
public final class ServerAddress extends Value {
    private final String host;
    private final int port;

    ServerAddress(Fields fields) {
        host = fields.text();
        port = fields.count();
    }

    /**
     * Address or name.
     *
     * @return without brackets
     */
    public String getHost() {
        return host;
    }

    /**
     * The TCP port.
     *
     * @return 1 to 65535
     */
    public int getPort() {
        return port;
    }

    @Override
    Object[] parts() {
        return new Object[] {
            "host", host,
            "port", port
        };
    }
}
