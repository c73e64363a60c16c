package io.github.fdfs;

/** A configured tracker. Immutable. */
public final class TrackerInfo extends Value {
    private final String address;
    private final boolean alive;
    private final boolean leader;

    TrackerInfo(Fields fields) {
        address = fields.text();
        alive = fields.flag();
        leader = fields.flag();
    }

    /**
     * Where it is.
     *
     * @return as configured
     */
    public String getAddress() {
        return address;
    }

    /**
     * Whether it answered.
     *
     * @return true when it did
     */
    public boolean isAlive() {
        return alive;
    }

    /**
     * Whether it leads the trackers.
     *
     * @return true when it does
     */
    public boolean isLeader() {
        return leader;
    }

    @Override
    Object[] parts() {
        return new Object[] {
            "address", address,
            "alive", alive,
            "leader", leader
        };
    }
}
