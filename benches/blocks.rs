//! How fast the compressors are, and how small their output is, by level and by size of the blocks that are compressed
//! each by itself: what the levels and sizes of `src/layer/compress/mod.rs` were chosen from.
//!
//!     tar -C /usr/share -cf /tmp/share.tar .
//!     cargo run --locked --release --example blocks -- /tmp/share.tar
//!
//! The file is in memory before the clock runs; the first bytes of it, up to a limit, are taken. All processors compress,
//! each takes the next block. Medians of five.

use std::fs::File;
use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use libdeflater::{CompressionLvl, Compressor};

const RUNS: usize = 5;

/// The most of the file that is taken.
const LIMIT: u64 = 128 << 20;

/// Log2 of the sizes of blocks.
const GZIP_BLOCKS: [u32; 6] = [17, 18, 19, 20, 21, 22];
const ZSTD_BLOCKS: [u32; 5] = [19, 20, 21, 22, 23];

const GZIP_LEVELS: [i32; 6] = [1, 2, 3, 4, 6, 9];
const ZSTD_LEVELS: [i32; 3] = [1, 3, 6];

/// One way to compress: what a thread sets up once, and then does to each block.
type Compress = Box<dyn FnMut(&[u8]) -> io::Result<usize>>;

fn gzip(level: i32, block: usize) -> io::Result<Compress> {
    let level = CompressionLvl::new(level).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut compressor = Compressor::new(level);
    let mut output = vec![0; compressor.gzip_compress_bound(block)];
    Ok(Box::new(move |block| compressor.gzip_compress(block, &mut output).map_err(io::Error::other)))
}

fn zstandard(level: i32, block: usize) -> io::Result<Compress> {
    let mut compressor = zstd::bulk::Compressor::new(level)?;
    let mut output = vec![0; zstd::zstd_safe::compress_bound(block)];
    Ok(Box::new(move |block| compressor.compress_to_buffer(block, &mut output[..])))
}

/// The time that all blocks take and the bytes they come to.
fn run(bytes: &[u8], block: usize, setup: impl Fn() -> io::Result<Compress> + Sync) -> io::Result<(Duration, usize)> {
    let threads = thread::available_parallelism()?.get();
    let blocks: Vec<&[u8]> = bytes.chunks(block).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut compress = setup()?;
        let mut made = 0;
        while let Some(block) = blocks.get(next.fetch_add(1, Ordering::Relaxed)) {
            made += compress(block)?;
        }
        io::Result::Ok(made)
    };
    let began = Instant::now();
    let made = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum::<io::Result<usize>>()
    })?;
    Ok((began.elapsed(), made))
}

#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn row(
    out: &mut impl Write,
    bytes: &[u8],
    name: &str,
    (level, log): (i32, u32),
    compress: fn(i32, usize) -> io::Result<Compress>,
) -> io::Result<()> {
    let block = 1 << log;
    let mut runs = (0..RUNS).map(|_| run(bytes, block, || compress(level, block))).collect::<io::Result<Vec<_>>>()?;
    runs.sort_unstable();
    let (time, made) = runs[RUNS / 2];
    let rate = bytes.len() as f64 / f64::from(1 << 20) / time.as_secs_f64();
    let ratio = made as f64 / bytes.len() as f64;
    writeln!(out, "| {name} {level} | {} | {rate:.0} | {ratio:.4} |", block >> 10)
}

fn table(path: &str) -> io::Result<()> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LIMIT).read_to_end(&mut bytes)?;
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{path}: {} MiB\n\n| level | block KiB | MiB/s | made / taken |\n|---|---|---|---|",
        bytes.len() >> 20
    )?;
    for level in GZIP_LEVELS {
        for log in GZIP_BLOCKS {
            row(&mut out, &bytes, "gzip", (level, log), gzip)?;
        }
    }
    for level in ZSTD_LEVELS {
        for log in ZSTD_BLOCKS {
            row(&mut out, &bytes, "zstd", (level, log), zstandard)?;
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    let [_, path] = &std::env::args().collect::<Vec<_>>()[..] else {
        eprintln!("usage: blocks FILE");
        return ExitCode::from(64);
    };
    match table(path) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{path}: {error}");
            ExitCode::FAILURE
        }
    }
}
