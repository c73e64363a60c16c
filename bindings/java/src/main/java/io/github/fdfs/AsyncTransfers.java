package io.github.fdfs;

import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.concurrent.CompletableFuture;

/** The asynchronous calls that move content. */
abstract class AsyncTransfers extends AsyncUploads {
    AsyncTransfers(Calls calls) {
        super(calls);
    }

    /**
     * Downloads a file into memory.
     *
     * @param id the file
     * @return a future of the content
     */
    public CompletableFuture<byte[]> download(FileId id) {
        return download(id, CallOptions.NONE);
    }

    /**
     * Downloads a file into memory, with options for this call.
     *
     * @param id the file
     * @param options timeout and progress of this call
     * @return a future of the content
     */
    public CompletableFuture<byte[]> download(FileId id, CallOptions options) {
        return calls.download(id, 0, -1, options);
    }

    /**
     * Downloads a part of a file into memory.
     *
     * @param id the file
     * @param offset the first byte; a negative one counts from the end
     * @param length bytes wanted; what lies beyond the end is left out
     * @return a future of the content; empty when the offset is the size or the length is 0
     */
    public CompletableFuture<byte[]> download(FileId id, long offset, long length) {
        return download(id, offset, length, CallOptions.NONE);
    }

    /**
     * Downloads a part of a file into memory, with options for this call.
     *
     * @param id the file
     * @param offset the first byte; a negative one counts from the end
     * @param length bytes wanted; what lies beyond the end is left out
     * @param options timeout and progress of this call
     * @return a future of the content; empty when the offset is the size or the length is 0
     */
    public CompletableFuture<byte[]> download(
            FileId id, long offset, long length, CallOptions options) {
        return calls.download(id, offset, Calls.length(length), options);
    }

    /**
     * Downloads the beginning of a file into a buffer.
     *
     * @param id the file
     * @param buffer takes the content from its position to its limit; the position moves behind it.
     *     Into a direct buffer nothing is copied in between
     * @return a future of how many bytes there were
     */
    public CompletableFuture<Integer> downloadInto(FileId id, ByteBuffer buffer) {
        return downloadInto(id, buffer, CallOptions.NONE);
    }

    /**
     * Downloads the beginning of a file into a buffer, with options for this call.
     *
     * @param id the file
     * @param buffer takes the content from its position to its limit; the position moves behind it.
     *     Into a direct buffer nothing is copied in between
     * @param options timeout and progress of this call
     * @return a future of how many bytes there were
     */
    public CompletableFuture<Integer> downloadInto(
            FileId id, ByteBuffer buffer, CallOptions options) {
        return calls.downloadInto(id, buffer, 0, options);
    }

    /**
     * Downloads a part of a file into a buffer.
     *
     * @param id the file
     * @param buffer takes the content from its position to its limit; the position moves behind it
     * @param offset the first byte; a negative one counts from the end
     * @return a future of how many bytes there were
     */
    public CompletableFuture<Integer> downloadInto(FileId id, ByteBuffer buffer, long offset) {
        return downloadInto(id, buffer, offset, CallOptions.NONE);
    }

    /**
     * Downloads a part of a file into a buffer, with options for this call.
     *
     * @param id the file
     * @param buffer takes the content from its position to its limit; the position moves behind it
     * @param offset the first byte; a negative one counts from the end
     * @param options timeout and progress of this call
     * @return a future of how many bytes there were
     */
    public CompletableFuture<Integer> downloadInto(
            FileId id, ByteBuffer buffer, long offset, CallOptions options) {
        return calls.downloadInto(id, buffer, offset, options);
    }

    /**
     * Downloads to a local file.
     *
     * @param id the file
     * @param path a local file; it appears under its name when it is whole
     * @return a future of bytes written
     */
    public CompletableFuture<Long> downloadTo(FileId id, Path path) {
        return downloadTo(id, path, CallOptions.NONE);
    }

    /**
     * Downloads to a local file, with options for this call.
     *
     * @param id the file
     * @param path a local file; it appears under its name when it is whole
     * @param options timeout and progress of this call
     * @return a future of bytes written
     */
    public CompletableFuture<Long> downloadTo(FileId id, Path path, CallOptions options) {
        return calls.downloadTo(id, path, 0, -1, options);
    }

    /**
     * Downloads a part to a local file.
     *
     * @param id the file
     * @param path a local file; it appears under its name when it is whole
     * @param offset the first byte; a negative one counts from the end
     * @param length bytes wanted; what lies beyond the end is left out
     * @return a future of bytes written
     */
    public CompletableFuture<Long> downloadTo(FileId id, Path path, long offset, long length) {
        return downloadTo(id, path, offset, length, CallOptions.NONE);
    }

    /**
     * Downloads a part to a local file, with options for this call.
     *
     * @param id the file
     * @param path a local file; it appears under its name when it is whole
     * @param offset the first byte; a negative one counts from the end
     * @param length bytes wanted; what lies beyond the end is left out
     * @param options timeout and progress of this call
     * @return a future of bytes written
     */
    public CompletableFuture<Long> downloadTo(
            FileId id, Path path, long offset, long length, CallOptions options) {
        return calls.downloadTo(id, path, offset, Calls.length(length), options);
    }

    /**
     * Downloads to a stream, in bounded memory.
     *
     * @param id the file
     * @param out takes the content; neither flushed nor closed
     * @return a future of bytes written
     */
    public CompletableFuture<Long> downloadTo(FileId id, OutputStream out) {
        return downloadTo(id, out, CallOptions.NONE);
    }

    /**
     * Downloads to a stream, in bounded memory, with options for this call.
     *
     * @param id the file
     * @param out takes the content; neither flushed nor closed
     * @param options timeout and progress of this call
     * @return a future of bytes written
     */
    public CompletableFuture<Long> downloadTo(FileId id, OutputStream out, CallOptions options) {
        return calls.drainLater(id, out, 0, -1, options);
    }

    /**
     * Downloads a part to a stream, in bounded memory.
     *
     * @param id the file
     * @param out takes the content; neither flushed nor closed
     * @param offset the first byte; a negative one counts from the end
     * @param length bytes wanted; what lies beyond the end is left out
     * @return a future of bytes written
     */
    public CompletableFuture<Long> downloadTo(
            FileId id, OutputStream out, long offset, long length) {
        return downloadTo(id, out, offset, length, CallOptions.NONE);
    }

    /**
     * Downloads a part to a stream, in bounded memory, with options for this call.
     *
     * @param id the file
     * @param out takes the content; neither flushed nor closed
     * @param offset the first byte; a negative one counts from the end
     * @param length bytes wanted; what lies beyond the end is left out
     * @param options timeout and progress of this call
     * @return a future of bytes written
     */
    public CompletableFuture<Long> downloadTo(
            FileId id, OutputStream out, long offset, long length, CallOptions options) {
        return calls.drainLater(id, out, offset, Calls.length(length), options);
    }

    /**
     * Opens a file for reading piece by piece. A timeout covers the opening only.
     *
     * @param id the file
     * @return a future of the stream; close it
     */
    public CompletableFuture<FdfsInputStream> open(FileId id) {
        return open(id, CallOptions.NONE);
    }

    /**
     * Opens a file for reading piece by piece, with options for this call.
     *
     * @param id the file
     * @param options timeout and progress of this call
     * @return a future of the stream; close it
     */
    public CompletableFuture<FdfsInputStream> open(FileId id, CallOptions options) {
        return calls.open(id, 0, -1, options);
    }

    /**
     * Opens a part of a file for reading piece by piece. A timeout covers the opening only.
     *
     * @param id the file
     * @param offset the first byte; a negative one counts from the end
     * @param length bytes wanted; what lies beyond the end is left out
     * @return a future of the stream; close it
     */
    public CompletableFuture<FdfsInputStream> open(FileId id, long offset, long length) {
        return open(id, offset, length, CallOptions.NONE);
    }

    /**
     * Opens a part of a file for reading piece by piece, with options for this call.
     *
     * @param id the file
     * @param offset the first byte; a negative one counts from the end
     * @param length bytes wanted; what lies beyond the end is left out
     * @param options timeout and progress of this call
     * @return a future of the stream; close it
     */
    public CompletableFuture<FdfsInputStream> open(
            FileId id, long offset, long length, CallOptions options) {
        return calls.open(id, offset, Calls.length(length), options);
    }
}
