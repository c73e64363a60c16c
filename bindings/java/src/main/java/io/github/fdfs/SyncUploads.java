package io.github.fdfs;

import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.file.Path;

/** The blocking calls that send content. */
abstract class SyncUploads {
    final Calls calls;

    SyncUploads(Calls calls) {
        this.calls = calls;
    }

    /**
     * Uploads bytes.
     *
     * @param data the content
     * @param how extension, metadata, group and so on
     * @return the new file's id
     */
    public FileId upload(byte[] data, UploadOptions how) {
        return upload(data, how, CallOptions.NONE);
    }

    /**
     * Uploads bytes, with options for this call.
     *
     * @param data the content
     * @param how extension, metadata, group and so on
     * @param options timeout and progress of this call
     * @return the new file's id
     */
    public FileId upload(byte[] data, UploadOptions how, CallOptions options) {
        Body body = Body.of(data);
        return body.send(calls.upload(body, how, options));
    }

    /**
     * Uploads the content of a buffer.
     *
     * @param data the content, from position to limit; neither changes. A direct buffer is read
     *     where it lies
     * @param how extension, metadata, group and so on
     * @return the new file's id
     */
    public FileId upload(ByteBuffer data, UploadOptions how) {
        return upload(data, how, CallOptions.NONE);
    }

    /**
     * Uploads the content of a buffer, with options for this call.
     *
     * @param data the content, from position to limit; neither changes. A direct buffer is read
     *     where it lies
     * @param how extension, metadata, group and so on
     * @param options timeout and progress of this call
     * @return the new file's id
     */
    public FileId upload(ByteBuffer data, UploadOptions how, CallOptions options) {
        Body body = Body.of(data);
        return body.send(calls.upload(body, how, options));
    }

    /**
     * Uploads what a stream gives, in bounded memory. A stream that is shorter or longer than its
     * size fails with {@link FdfsLocalIoException}.
     *
     * @param in the content, read to its end and not closed
     * @param size its bytes; -1 when unknown: then up to 8 MiB are kept in memory, and more in a
     *     temporary file
     * @param how extension, metadata, group and so on
     * @return the new file's id
     */
    public FileId upload(InputStream in, long size, UploadOptions how) {
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
     * @return the new file's id
     */
    public FileId upload(InputStream in, long size, UploadOptions how, CallOptions options) {
        Body body = Body.of(in, size);
        return body.send(calls.upload(body, how, options));
    }

    /**
     * Uploads a local file. Its extension is taken from its name unless given; a double one such as
     * {@code tar.gz} stays when it fits.
     *
     * @param path a local file
     * @param how extension, metadata, group and so on
     * @return the new file's id
     */
    public FileId upload(Path path, UploadOptions how) {
        return upload(path, how, CallOptions.NONE);
    }

    /**
     * Uploads a local file, with options for this call.
     *
     * @param path a local file
     * @param how extension, metadata, group and so on
     * @param options timeout and progress of this call
     * @return the new file's id
     */
    public FileId upload(Path path, UploadOptions how, CallOptions options) {
        Body body = Body.of(path);
        return body.send(calls.upload(body, how, options));
    }

    /**
     * Uploads as a slave of another file bytes. {@link FdfsAlreadyExistsException} when there is
     * one already.
     *
     * @param master the file whose name it gets
     * @param prefix what is added to the name, 1 to 16 characters
     * @param data the content
     * @param how extension and metadata; the rest follows from the master
     * @return the slave's id
     */
    public FileId uploadSlave(FileId master, String prefix, byte[] data, UploadOptions how) {
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
     * @return the slave's id
     */
    public FileId uploadSlave(
            FileId master, String prefix, byte[] data, UploadOptions how, CallOptions options) {
        Body body = Body.of(data);
        return body.send(calls.uploadSlave(master, prefix, body, how, options));
    }

    /**
     * Uploads as a slave of another file the content of a buffer.
     *
     * @param master the file whose name it gets
     * @param prefix what is added to the name, 1 to 16 characters
     * @param data the content, from position to limit; neither changes. A direct buffer is read
     *     where it lies
     * @param how extension and metadata; the rest follows from the master
     * @return the slave's id
     */
    public FileId uploadSlave(FileId master, String prefix, ByteBuffer data, UploadOptions how) {
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
     * @return the slave's id
     */
    public FileId uploadSlave(
            FileId master,
            String prefix,
            ByteBuffer data,
            UploadOptions how,
            CallOptions options) {
        Body body = Body.of(data);
        return body.send(calls.uploadSlave(master, prefix, body, how, options));
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
     * @return the slave's id
     */
    public FileId uploadSlave(
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
     * @return the slave's id
     */
    public FileId uploadSlave(
            FileId master,
            String prefix,
            InputStream in,
            long size,
            UploadOptions how,
            CallOptions options) {
        Body body = Body.of(in, size);
        return body.send(calls.uploadSlave(master, prefix, body, how, options));
    }

    /**
     * Uploads as a slave of another file a local file.
     *
     * @param master the file whose name it gets
     * @param prefix what is added to the name, 1 to 16 characters
     * @param path a local file
     * @param how extension and metadata; the rest follows from the master
     * @return the slave's id
     */
    public FileId uploadSlave(FileId master, String prefix, Path path, UploadOptions how) {
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
     * @return the slave's id
     */
    public FileId uploadSlave(
            FileId master, String prefix, Path path, UploadOptions how, CallOptions options) {
        Body body = Body.of(path);
        return body.send(calls.uploadSlave(master, prefix, body, how, options));
    }

    /**
     * Adds to the end of an appender file: bytes.
     *
     * @param id an appender file
     * @param data the content
     */
    public void append(FileId id, byte[] data) {
        append(id, data, CallOptions.NONE);
    }

    /**
     * Adds to the end of an appender file: bytes, with options for this call.
     *
     * @param id an appender file
     * @param data the content
     * @param options timeout and progress of this call
     */
    public void append(FileId id, byte[] data, CallOptions options) {
        Body body = Body.of(data);
        body.send(calls.append(id, body, options));
    }

    /**
     * Adds to the end of an appender file: the content of a buffer.
     *
     * @param id an appender file
     * @param data the content, from position to limit; neither changes. A direct buffer is read
     *     where it lies
     */
    public void append(FileId id, ByteBuffer data) {
        append(id, data, CallOptions.NONE);
    }

    /**
     * Adds to the end of an appender file: the content of a buffer, with options for this call.
     *
     * @param id an appender file
     * @param data the content, from position to limit; neither changes. A direct buffer is read
     *     where it lies
     * @param options timeout and progress of this call
     */
    public void append(FileId id, ByteBuffer data, CallOptions options) {
        Body body = Body.of(data);
        body.send(calls.append(id, body, options));
    }

    /**
     * Adds to the end of an appender file: what a stream gives, in bounded memory. A stream that is
     * shorter or longer than its size fails with {@link FdfsLocalIoException}.
     *
     * @param id an appender file
     * @param in the content, read to its end and not closed
     * @param size its bytes; -1 when unknown: then up to 8 MiB are kept in memory, and more in a
     *     temporary file
     */
    public void append(FileId id, InputStream in, long size) {
        append(id, in, size, CallOptions.NONE);
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
     */
    public void append(FileId id, InputStream in, long size, CallOptions options) {
        Body body = Body.of(in, size);
        body.send(calls.append(id, body, options));
    }

    /**
     * Adds to the end of an appender file: a local file.
     *
     * @param id an appender file
     * @param path a local file
     */
    public void append(FileId id, Path path) {
        append(id, path, CallOptions.NONE);
    }

    /**
     * Adds to the end of an appender file: a local file, with options for this call.
     *
     * @param id an appender file
     * @param path a local file
     * @param options timeout and progress of this call
     */
    public void append(FileId id, Path path, CallOptions options) {
        Body body = Body.of(path);
        body.send(calls.append(id, body, options));
    }

    /**
     * Overwrites a part of an appender file with bytes.
     *
     * @param id an appender file
     * @param offset the first byte to overwrite, 0 to the size of the file
     * @param data the content
     */
    public void modify(FileId id, long offset, byte[] data) {
        modify(id, offset, data, CallOptions.NONE);
    }

    /**
     * Overwrites a part of an appender file with bytes, with options for this call.
     *
     * @param id an appender file
     * @param offset the first byte to overwrite, 0 to the size of the file
     * @param data the content
     * @param options timeout and progress of this call
     */
    public void modify(FileId id, long offset, byte[] data, CallOptions options) {
        Body body = Body.of(data);
        body.send(calls.modify(id, offset, body, options));
    }

    /**
     * Overwrites a part of an appender file with the content of a buffer.
     *
     * @param id an appender file
     * @param offset the first byte to overwrite, 0 to the size of the file
     * @param data the content, from position to limit; neither changes. A direct buffer is read
     *     where it lies
     */
    public void modify(FileId id, long offset, ByteBuffer data) {
        modify(id, offset, data, CallOptions.NONE);
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
     */
    public void modify(FileId id, long offset, ByteBuffer data, CallOptions options) {
        Body body = Body.of(data);
        body.send(calls.modify(id, offset, body, options));
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
     */
    public void modify(FileId id, long offset, InputStream in, long size) {
        modify(id, offset, in, size, CallOptions.NONE);
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
     */
    public void modify(FileId id, long offset, InputStream in, long size, CallOptions options) {
        Body body = Body.of(in, size);
        body.send(calls.modify(id, offset, body, options));
    }

    /**
     * Overwrites a part of an appender file with a local file.
     *
     * @param id an appender file
     * @param offset the first byte to overwrite, 0 to the size of the file
     * @param path a local file
     */
    public void modify(FileId id, long offset, Path path) {
        modify(id, offset, path, CallOptions.NONE);
    }

    /**
     * Overwrites a part of an appender file with a local file, with options for this call.
     *
     * @param id an appender file
     * @param offset the first byte to overwrite, 0 to the size of the file
     * @param path a local file
     * @param options timeout and progress of this call
     */
    public void modify(FileId id, long offset, Path path, CallOptions options) {
        Body body = Body.of(path);
        body.send(calls.modify(id, offset, body, options));
    }

    /**
     * Begins a file that is written piece by piece.
     *
     * @param how extension, metadata, group and so on; without {@code withAppender} the file
     *     becomes a normal one at the end
     * @return the stream to write to; closing it completes the file
     */
    public FdfsOutputStream create(UploadOptions how) {
        return create(how, CallOptions.NONE);
    }

    /**
     * Begins a file that is written piece by piece, with options for this call.
     *
     * @param how extension, metadata, group and so on; without {@code withAppender} the file
     *     becomes a normal one at the end
     * @param options timeout and progress of this call
     * @return the stream to write to; closing it completes the file
     */
    public FdfsOutputStream create(UploadOptions how, CallOptions options) {
        return calls.create(how, options).await();
    }
}
