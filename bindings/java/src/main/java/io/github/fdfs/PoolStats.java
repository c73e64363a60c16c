package io.github.fdfs;

/** What the connection pool did for one server. Immutable. */
public final class PoolStats extends Value {
    private final String server;
    private final int open;
    private final int idle;
    private final int waiting;
    private final long created;
    private final long closedByError;

    PoolStats(Fields fields) {
        server = fields.text();
        open = fields.count();
        idle = fields.count();
        waiting = fields.count();
        created = fields.number();
        closedByError = fields.number();
    }

    /**
     * The server.
     *
     * @return {@code host:port}
     */
    public String getServer() {
        return server;
    }

    /**
     * Connections lent and kept.
     *
     * @return how many there are now
     */
    public int getOpen() {
        return open;
    }

    /**
     * Connections kept.
     *
     * @return how many there are now
     */
    public int getIdle() {
        return idle;
    }

    /**
     * Calls waiting for a connection.
     *
     * @return how many there are now
     */
    public int getWaiting() {
        return waiting;
    }

    /**
     * Connections ever made.
     *
     * @return how many there were
     */
    public long getCreated() {
        return created;
    }

    /**
     * Connections closed because a call did not end cleanly.
     *
     * @return how many there were
     */
    public long getClosedByError() {
        return closedByError;
    }

    @Override
    Object[] parts() {
        return new Object[] {
            "server", server,
            "open", open,
            "idle", idle,
            "waiting", waiting,
            "created", created,
            "closedByError", closedByError
        };
    }
}
