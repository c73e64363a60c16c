/**
 * A client for FastDFS: {@link io.github.fdfs.FdfsClient} and what it takes, returns and throws.
 *
 * <p>Methods do not take null unless they say so. Sizes and offsets are bytes.
 */
package io.github.fdfs;
