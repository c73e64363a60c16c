//! The README's quick start, runnable: `cargo run --example quickstart -- TRACKER FILE`.

use fdfs_core::client::{ClientOptions, Range, UploadOptions};

#[tokio::main(flavor = "current_thread")]
async fn main() -> fdfs_core::Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(tracker), Some(file)) = (args.next(), args.next()) else {
        eprintln!("usage: quickstart TRACKER_HOST:PORT FILE");
        std::process::exit(2);
    };
    let client = ClientOptions::new([tracker])?.connect();
    let id = client.upload_file(&file, UploadOptions::default()).await?;
    let content = client.download(&id, Range::default()).await?;
    println!("{id}: {} bytes", content.len());
    client.delete(&id, false).await?;
    Ok(())
}
