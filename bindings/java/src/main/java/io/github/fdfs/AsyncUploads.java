package io.github.fdfs;

import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.concurrent.CompletableFuture;

/** The asynchronous calls that send content. */
abstract class AsyncUploads {
    final Calls calls;

    AsyncUploads(Calls calls) {
        this.calls = calls;
    }

    /**
     * Uploads bytes.
     *
     * @param data the content
     * @param how extension, metadata, group and so on
     * @return a future of the new file's id
     */
    public CompletableFuture<FileId> upload(byte[] data, UploadOptions how) {
        return upload(data, how, CallOptions.NONE);
    }

    /**
     * Uploads bytes, with options for this call.
     *
     * @param data the content
     * @param how extension, metadata, group and so on
     * @param options timeout and progress of this call
     * @return a future of the new file's id
     */
    public CompletableFuture<FileId> upload(byte[] data, UploadOptions how, CallOptions options) {
        Body body = Body.of(data);
        return body.sendOn(Calls.STREAMS, calls.upload(body, how, options));
    }

    /**
     * Uploads the content of a buffer.
     *
     * @param data the content, from position to limit; neither changes. A direct buffer is read
     *     where it lies
     * @param how extension, metadata, group and so on
     * @return a future of the new file's id
     */
    public CompletableFuture<FileId> upload(ByteBuffer data, UploadOptions how) {
        return upload(data, how, CallOptions.NONE);
    }

    /**
     * Uploads the content of a buffer, with options for this call.
     *
     * @param data the content, from position to limit; neither changes. A direct buffer is read
     *     where it lies
     * @param how extension, metadata, group and so on
     * @param options timeout and progress of this call
     * @return a future of the new file's id
     */
    public CompletableFuture<FileId> upload(
            ByteBuffer data, UploadOptions how, CallOptions options) {
        Body body = Body.of(data);
        return body.sendOn(Calls.STREAMS, calls.upload(body, how, options));
    }

    /**
     * Uploads what a stream gives, in bounded memory. A stream that is shorter or longer than its
     * size fails with {@link FdfsLocalIoException}.
     *
     * @param in the content, read to its end and not closed
     * @param size its bytes; -1 when unknown: then up to 8 MiB are kept in memory, and more in a
     *     temporary file
     * @param how extension, metadata, group and so on
     * @return a future of the new file's id
     */
    public CompletableFuture<FileId> upload(InputStream in, long size, UploadOptions how) {
        return upload(in, size, how, CallOptions.NONE);
    }

    /**
     * Uploads what a stream gives, in bounded memory, with options for this call.
     *
     * @param in the content, read to its end and not closed
     * @param size its bytes; -1 when unknown: then up to 8 MiB are kept in memory, and more in a
     *     temporary file
     * @param how extension, metadata, group and so on
     * @param options timeout and progress of this call
     * @return a future of the new file's id
     */
    public CompletableFuture<FileId> upload(
            InputStream in, long size, UploadOptions how, CallOptions options) {
        Body body = Body.of(in, size);
        return body.sendOn(Calls.STREAMS, calls.upload(body, how, options));
    }

    /**
     * Uploads a local file. Its extension is taken from its name unless given; a double one such as
     * {@code tar.gz} stays when it fits.
     *
     * @param path a local file
     * @param how extension, metadata, group and so on
     * @return a future of the new file's id
     */
    public CompletableFuture<FileId> upload(Path path, UploadOptions how) {
        return upload(path, how, CallOptions.NONE);
    }

    /**
     * Uploads a local file, with options for this call.
     *
     * @param path a local file
     * @param how extension, metadata, group and so on
     * @param options timeout and progress of this call
     * @return a future of the new file's id
     */
    public CompletableFuture<FileId> upload(Path path, UploadOptions how, CallOptions options) {
        Body body = Body.of(path);
        return body.sendOn(Calls.STREAMS, calls.upload(body, how, options));
    }

    /**
     * Uploads as a slave of another file bytes. {@link FdfsAlreadyExistsException} when there is
     * one already.
     *
     * @param master the file whose name it gets
     * @param prefix what is added to the name, 1 to 16 characters
     * @param data the content
     * @param how extension and metadata; the rest follows from the master
     * @return a future of the slave's id
     */
    public CompletableFuture<FileId> uploadSlave(
            FileId master, String prefix, byte[] data, UploadOptions how) {
        return uploadSlave(master, prefix, data, how, CallOptions.NONE);
    }

    /**
     * Uploads as a slave of another file bytes, with options for this call.
     *
     * @param master the file whose name it gets
     * @param prefix what is added to the name, 1 to 16 characters
     * @param data the content
     * @param how extension and metadata; the rest follows from the master
     * @param options timeout and progress of this call
     * @return a future of the slave's id
     */
    public CompletableFuture<FileId> uploadSlave(
            FileId master, String prefix, byte[] data, UploadOptions how, CallOptions options) {
        Body body = Body.of(data);
        return body.sendOn(Calls.STREAMS, calls.uploadSlave(master, prefix, body, how, options));
    }

    /**
     * Uploads as a slave of another file the content of a buffer.
     *
     * @param master the file whose name it gets
     * @param prefix what is added to the name, 1 to 16 characters
     * @param data the content, from position to limit; neither changes. A direct buffer is read
     *     where it lies
     * @param how extension and metadata; the rest follows from the master
     * @return a future of the slave's id
     */
    public CompletableFuture<FileId> uploadSlave(
            FileId master, String prefix, ByteBuffer data, UploadOptions how) {
        return uploadSlave(master, prefix, data, how, CallOptions.NONE);
    }

    /**
     * Uploads as a slave of another file the content of a buffer, with options for this call.
     *
     * @param master the file whose name it gets
     * @param prefix what is added to the name, 1 to 16 characters
     * @param data the content, from position to limit; neither changes. A direct buffer is read
     *     where it lies
     * @param how extension and metadata; the rest follows from the master
     * @param options timeout and progress of this call
     * @return a future of the slave's id
     */
    public CompletableFuture<FileId> uploadSlave(
            FileId master,
            String prefix,
            ByteBuffer data,
            UploadOptions how,
            CallOptions options) {
        Body body = Body.of(data);
        return body.sendOn(Calls.STREAMS, calls.uploadSlave(master, prefix, body, how, options));
    }

    /**
     * Uploads as a slave of another file what a stream gives, in bounded memory. A stream that is
     * shorter or longer than its size fails with {@link FdfsLocalIoException}.
     *
     * @param master the file whose name it gets
     * @param prefix what is added to the name, 1 to 16 characters
     * @param in the content, read to its end and not closed
     * @param size its bytes; -1 when unknown: then up to 8 MiB are kept in memory, and more in a
     *     temporary file
     * @param how extension and metadata; the rest follows from the master
     * @return a future of the slave's id
     */
    public CompletableFuture<FileId> uploadSlave(
            FileId master, String prefix, InputStream in, long size, UploadOptions how) {
        return uploadSlave(master, prefix, in, size, how, CallOptions.NONE);
    }

    /**
     * Uploads as a slave of another file what a stream gives, in bounded memory, with options for
     * this call.
     *
     * @param master the file whose name it gets
     * @param prefix what is added to the name, 1 to 16 characters
     * @param in the content, read to its end and not closed
     * @param size its bytes; -1 when unknown: then up to 8 MiB are kept in memory, and more in a
     *     temporary file
     * @param how extension and metadata; the rest follows from the master
     * @param options timeout and progress of this call
     * @return a future of the slave's id
     */
    public CompletableFuture<FileId> uploadSlave(
            FileId master,
            String prefix,
            InputStream in,
            long size,
            UploadOptions how,
            CallOptions options) {
        Body body = Body.of(in, size);
        return body.sendOn(Calls.STREAMS, calls.uploadSlave(master, prefix, body, how, options));
    }

    /**
     * Uploads as a slave of another file a local file.
     *
     * @param master the file whose name it gets
     * @param prefix what is added to the name, 1 to 16 characters
     * @param path a local file
     * @param how extension and metadata; the rest follows from the master
     * @return a future of the slave's id
     */
    public CompletableFuture<FileId> uploadSlave(
            FileId master, String prefix, Path path, UploadOptions how) {
        return uploadSlave(master, prefix, path, how, CallOptions.NONE);
    }

    /**
     * Uploads as a slave of another file a local file, with options for this call.
     *
     * @param master the file whose name it gets
     * @param prefix what is added to the name, 1 to 16 characters
     * @param path a local file
     * @param how extension and metadata; the rest follows from the master
     * @param options timeout and progress of this call
     * @return a future of the slave's id
     */
    public CompletableFuture<FileId> uploadSlave(
            FileId master, String prefix, Path path, UploadOptions how, CallOptions options) {
        Body body = Body.of(path);
        return body.sendOn(Calls.STREAMS, calls.uploadSlave(master, prefix, body, how, options));
    }

    /**
     * Adds to the end of an appender file: bytes.
     *
     * @param id an appender file
     * @param data the content
     * @return a future that completes when it is done
     */
    public CompletableFuture<Void> append(FileId id, byte[] data) {
        return append(id, data, CallOptions.NONE);
    }

    /**
     * Adds to the end of an appender file: bytes, with options for this call.
     *
     * @param id an appender file
     * @param data the content
     * @param options timeout and progress of this call
     * @return a future that completes when it is done
     */
    public CompletableFuture<Void> append(FileId id, byte[] data, CallOptions options) {
        Body body = Body.of(data);
        return body.sendOn(Calls.STREAMS, calls.append(id, body, options));
    }

    /**
     * Adds to the end of an appender file: the content of a buffer.
     *
     * @param id an appender file
     * @param data the content, from position to limit; neither changes. A direct buffer is read
     *     where it lies
     * @return a future that completes when it is done
     */
    public CompletableFuture<Void> append(FileId id, ByteBuffer data) {
        return append(id, data, CallOptions.NONE);
    }

    /**
     * Adds to the end of an appender file: the content of a buffer, with options for this call.
     *
     * @param id an appender file
     * @param data the content, from position to limit; neither changes. A direct buffer is read
     *     where it lies
     * @param options timeout and progress of this call
     * @return a future that completes when it is done
     */
    public CompletableFuture<Void> append(FileId id, ByteBuffer data, CallOptions options) {
        Body body = Body.of(data);
        return body.sendOn(Calls.STREAMS, calls.append(id, body, options));
    }

    /**
     * Adds to the end of an appender file: what a stream gives, in bounded memory. A stream that is
     * shorter or longer than its size fails with {@link FdfsLocalIoException}.
     *
     * @param id an appender file
     * @param in the content, read to its end and not closed
     * @param size its bytes; -1 when unknown: then up to 8 MiB are kept in memory, and more in a
     *     temporary file
     * @return a future that completes when it is done
     */
    public CompletableFuture<Void> append(FileId id, InputStream in, long size) {
        return append(id, in, size, CallOptions.NONE);
    }

    /**
     * Adds to the end of an appender file: what a stream gives, in bounded memory, with options for
     * this call.
     *
     * @param id an appender file
     * @param in the content, read to its end and not closed
     * @param size its bytes; -1 when unknown: then up to 8 MiB are kept in memory, and more in a
     *     temporary file
     * @param options timeout and progress of this call
     * @return a future that completes when it is done
     */
    public CompletableFuture<Void> append(
            FileId id, InputStream in, long size, CallOptions options) {
        Body body = Body.of(in, size);
        return body.sendOn(Calls.STREAMS, calls.append(id, body, options));
    }

    /**
     * Adds to the end of an appender file: a local file.
     *
     * @param id an appender file
     * @param path a local file
     * @return a future that completes when it is done
     */
    public CompletableFuture<Void> append(FileId id, Path path) {
        return append(id, path, CallOptions.NONE);
    }

    /**
     * Adds to the end of an appender file: a local file, with options for this call.
     *
     * @param id an appender file
     * @param path a local file
     * @param options timeout and progress of this call
     * @return a future that completes when it is done
     */
    public CompletableFuture<Void> append(FileId id, Path path, CallOptions options) {
        Body body = Body.of(path);
        return body.sendOn(Calls.STREAMS, calls.append(id, body, options));
    }

    /**
     * Overwrites a part of an appender file with bytes.
     *
     * @param id an appender file
     * @param offset the first byte to overwrite, 0 to the size of the file
     * @param data the content
     * @return a future that completes when it is done
     */
    public CompletableFuture<Void> modify(FileId id, long offset, byte[] data) {
        return modify(id, offset, data, CallOptions.NONE);
    }

    /**
     * Overwrites a part of an appender file with bytes, with options for this call.
     *
     * @param id an appender file
     * @param offset the first byte to overwrite, 0 to the size of the file
     * @param data the content
     * @param options timeout and progress of this call
     * @return a future that completes when it is done
     */
    public CompletableFuture<Void> modify(
            FileId id, long offset, byte[] data, CallOptions options) {
        Body body = Body.of(data);
        return body.sendOn(Calls.STREAMS, calls.modify(id, offset, body, options));
    }

    /**
     * Overwrites a part of an appender file with the content of a buffer.
     *
     * @param id an appender file
     * @param offset the first byte to overwrite, 0 to the size of the file
     * @param data the content, from position to limit; neither changes. A direct buffer is read
     *     where it lies
     * @return a future that completes when it is done
     */
    public CompletableFuture<Void> modify(FileId id, long offset, ByteBuffer data) {
        return modify(id, offset, data, CallOptions.NONE);
    }

    /**
     * Overwrites a part of an appender file with the content of a buffer, with options for this
     * call.
     *
     * @param id an appender file
     * @param offset the first byte to overwrite, 0 to the size of the file
     * @param data the content, from position to limit; neither changes. A direct buffer is read
     *     where it lies
     * @param options timeout and progress of this call
     * @return a future that completes when it is done
     */
    public CompletableFuture<Void> modify(
            FileId id, long offset, ByteBuffer data, CallOptions options) {
        Body body = Body.of(data);
        return body.sendOn(Calls.STREAMS, calls.modify(id, offset, body, options));
    }

    /**
     * Overwrites a part of an appender file with what a stream gives, in bounded memory. A stream
     * that is shorter or longer than its size fails with {@link FdfsLocalIoException}.
     *
     * @param id an appender file
     * @param offset the first byte to overwrite, 0 to the size of the file
     * @param in the content, read to its end and not closed
     * @param size its bytes; -1 when unknown: then up to 8 MiB are kept in memory, and more in a
     *     temporary file
     * @return a future that completes when it is done
     */
    public CompletableFuture<Void> modify(FileId id, long offset, InputStream in, long size) {
        return modify(id, offset, in, size, CallOptions.NONE);
    }

    /**
     * Overwrites a part of an appender file with what a stream gives, in bounded memory, with
     * options for this call.
     *
     * @param id an appender file
     * @param offset the first byte to overwrite, 0 to the size of the file
     * @param in the content, read to its end and not closed
     * @param size its bytes; -1 when unknown: then up to 8 MiB are kept in memory, and more in a
     *     temporary file
     * @param options timeout and progress of this call
     * @return a future that completes when it is done
     */
    public CompletableFuture<Void> modify(
            FileId id, long offset, InputStream in, long size, CallOptions options) {
        Body body = Body.of(in, size);
        return body.sendOn(Calls.STREAMS, calls.modify(id, offset, body, options));
    }

    /**
     * Overwrites a part of an appender file with a local file.
     *
     * @param id an appender file
     * @param offset the first byte to overwrite, 0 to the size of the file
     * @param path a local file
     * @return a future that completes when it is done
     */
    public CompletableFuture<Void> modify(FileId id, long offset, Path path) {
        return modify(id, offset, path, CallOptions.NONE);
    }

    /**
     * Overwrites a part of an appender file with a local file, with options for this call.
     *
     * @param id an appender file
     * @param offset the first byte to overwrite, 0 to the size of the file
     * @param path a local file
     * @param options timeout and progress of this call
     * @return a future that completes when it is done
     */
    public CompletableFuture<Void> modify(FileId id, long offset, Path path, CallOptions options) {
        Body body = Body.of(path);
        return body.sendOn(Calls.STREAMS, calls.modify(id, offset, body, options));
    }

    /**
     * Begins a file that is written piece by piece.
     *
     * @param how extension, metadata, group and so on; without {@code withAppender} the file
     *     becomes a normal one at the end
     * @return a future of the stream to write to; closing it completes the file
     */
    public CompletableFuture<FdfsOutputStream> create(UploadOptions how) {
        return create(how, CallOptions.NONE);
    }

    /**
     * Begins a file that is written piece by piece, with options for this call.
     *
     * @param how extension, metadata, group and so on; without {@code withAppender} the file
     *     becomes a normal one at the end
     * @param options timeout and progress of this call
     * @return a future of the stream to write to; closing it completes the file
     */
    public CompletableFuture<FdfsOutputStream> create(UploadOptions how, CallOptions options) {
        return calls.create(how, options);
    }
}
