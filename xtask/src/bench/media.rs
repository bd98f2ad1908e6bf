//! A media store as Synapse has it: many incompressible files of 30 kB to 1.5 MB, a few large ones,
//! thumbnails, some texts, some files uploaded twice. The same for each run.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::shell::Done;

/// Bytes of a store of scale 1.
const BYTES: u64 = 2 << 30;
/// Large files of a store of scale 1, and their bytes.
const VIDEOS: u64 = 4;
const VIDEO_BYTES: u64 = 60 << 20;
/// Width, height and method of the thumbnails of a picture.
const THUMBNAILS: [(u32, u32, &str); 3] =
    [(32, 32, "crop"), (320, 240, "scale"), (640, 480, "scale")];

/// One file, as its row will describe it.
struct Listed {
    path: PathBuf,
    /// Empty for our own.
    origin: String,
    media: String,
    folder: String,
    thumbnail: Option<(u32, u32, &'static str)>,
    bytes: u64,
}

/// Makes the files below `store` and returns their list in the form that `benches/media.sql` reads.
///
/// # Errors
/// A file cannot be written, or `sha256sum` fails.
pub(super) fn make(store: &Path, scale: u64) -> Done<String> {
    let mut maker = Maker { store, dice: Dice(20_260_101), files: Vec::new(), bytes: 0 };
    for _ in 0..VIDEOS * scale {
        let content = maker.dice.noise(VIDEO_BYTES);
        maker.upload(&content)?;
    }
    let mut earlier = Vec::new();
    while maker.bytes < BYTES * scale {
        let luck = maker.dice.below(100);
        if luck < 8 {
            let bytes = maker.dice.between(20_000, 600_000);
            let content = maker.dice.prose(bytes);
            maker.upload(&content)?;
        } else if luck < 18 && !earlier.is_empty() {
            maker.upload(&earlier)?;
        } else {
            let bytes = maker.dice.between(30_000, 1_500_000);
            earlier = maker.dice.noise(bytes);
            maker.upload(&earlier)?;
        }
    }
    let sums = checksums(store)?;
    let lines = maker.files.iter().map(|file| file.line(&sums));
    lines.collect::<Done<Vec<String>>>().map(|lines| lines.concat())
}

struct Maker<'a> {
    store: &'a Path,
    dice: Dice,
    files: Vec<Listed>,
    bytes: u64,
}

impl Maker<'_> {
    /// Two thirds are our own, the others were fetched from elsewhere; most have thumbnails.
    fn upload(&mut self, content: &[u8]) -> Done {
        let media = self.dice.letters(24);
        let is_ours = self.dice.below(3) > 0;
        let has_thumbnails = self.dice.below(10) < 6;
        let (origin, folder, below) = if is_ours {
            (String::new(), media.clone(), ["local_content".to_owned(), "local_thumbnails".into()])
        } else {
            let origin = format!("far{}.test", self.dice.below(30));
            let below = ["remote_content", "remote_thumbnail"].map(|top| format!("{top}/{origin}"));
            (origin, self.dice.letters(24), below)
        };
        let place = format!("{}/{}/{}", &folder[..2], &folder[2..4], &folder[4..]);
        let listed = |path: PathBuf, thumbnail, bytes| Listed {
            path,
            origin: origin.clone(),
            media: media.clone(),
            folder: folder.clone(),
            thumbnail,
            bytes,
        };
        let [below, below_thumbnails] = below;
        let path = self.store.join(below).join(&place);
        self.keep(listed(path, None, content.len() as u64), content)?;
        if has_thumbnails {
            for thumbnail in THUMBNAILS {
                let (width, height, method) = thumbnail;
                let name = format!("{width}-{height}-image-jpeg-{method}");
                let path = self.store.join(&below_thumbnails).join(&place).join(name);
                let bytes = self.dice.between(1_500, 40_000);
                let content = self.dice.noise(bytes);
                self.keep(listed(path, Some(thumbnail), bytes), &content)?;
            }
        }
        Ok(())
    }

    fn keep(&mut self, file: Listed, content: &[u8]) -> Done {
        let trouble = |e| format!("write {}: {e}", file.path.display());
        if let Some(parent) = file.path.parent() {
            fs::create_dir_all(parent).map_err(trouble)?;
        }
        fs::write(&file.path, content).map_err(trouble)?;
        self.bytes += file.bytes;
        self.files.push(file);
        Ok(())
    }
}

impl Listed {
    fn line(&self, sums: &HashMap<PathBuf, String>) -> Done<String> {
        let Self { path, origin, media, folder, bytes, .. } = self;
        if let Some((width, height, method)) = self.thumbnail {
            let thumbnail = format!("{width}\t{height}\t{method}");
            return Ok(format!("{origin}\t{media}\t{folder}\t{thumbnail}\t{bytes}\t\\N\n"));
        }
        let sum = sums.get(path).ok_or_else(|| format!("{} has no checksum", path.display()))?;
        Ok(format!("{origin}\t{media}\t{folder}\t\\N\t\\N\t\\N\t{bytes}\t{sum}\n"))
    }
}

/// The SHA-256 of every file that is no thumbnail.
fn checksums(store: &Path) -> Done<HashMap<PathBuf, String>> {
    let find = "find \"$0\" -type f -not -path '*thumbnail*' -print0 | xargs -0 sha256sum";
    let output = Command::new("sh")
        .args(["-c", find])
        .arg(store)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| format!("run sha256sum: {e}"))?;
    if !output.status.success() {
        return Err(format!("sha256sum ended with {}", output.status));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let pairs = text.lines().filter_map(|line| line.split_once("  "));
    Ok(pairs.map(|(sum, path)| (PathBuf::from(path), sum.to_owned())).collect())
}

/// A small generator of numbers: fast, and the same on every machine (`SplitMix64`).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound
    }

    /// Small ones more often than large ones: doubled until the bound, then somewhere below.
    fn between(&mut self, least: u64, most: u64) -> u64 {
        let doublings = u64::from((most / least).ilog2());
        let size = least << self.below(doublings + 1);
        (size + self.below(size)).min(most)
    }

    fn noise(&mut self, bytes: u64) -> Vec<u8> {
        let mut noise = Vec::new();
        for _ in 0..bytes.div_ceil(8) {
            // Writing into memory does not fail.
            drop(noise.write_all(&self.roll().to_le_bytes()));
        }
        noise.truncate(usize::try_from(bytes).unwrap_or(usize::MAX));
        noise
    }

    fn letters(&mut self, count: usize) -> String {
        let alphabet = 'a'..='z';
        let nth = |roll: u64| usize::try_from(roll).unwrap_or(0);
        (0..count).filter_map(|_| alphabet.clone().nth(nth(self.below(26)))).collect()
    }

    fn prose(&mut self, bytes: u64) -> Vec<u8> {
        let vocabulary: Vec<String> = (0..2_000).map(|n| self.letters(2 + n % 9)).collect();
        let mut prose = String::new();
        while (prose.len() as u64) < bytes {
            let word = self.below(vocabulary.len() as u64);
            prose.push_str(&vocabulary[usize::try_from(word).unwrap_or(0)]);
            prose.push(' ');
        }
        prose.into_bytes()
    }
}
