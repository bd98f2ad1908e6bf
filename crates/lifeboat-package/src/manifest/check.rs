//! What must hold inside a manifest, whoever wrote it.

use std::collections::HashSet;

use super::{FIRST_GAPS, MANIFEST_TYPE, Manifest, ManifestError};
use crate::id::{Section, volume_name};
use crate::limits::{SEAL_FILES, VOLUME_BYTES};
use crate::version;

impl Manifest {
    /// Checks it against itself.
    pub(super) fn check(&self) -> Result<(), ManifestError> {
        let problem = if self.kind != MANIFEST_TYPE {
            Some(format!("its type is {:?}", self.kind))
        } else if !version::is_readable(&self.version) {
            Some(format!("its version is {:?}", self.version))
        } else {
            self.parts_problem().or_else(|| self.volumes_problem()).or_else(|| self.gaps_problem())
        };
        problem.map_or(Ok(()), |problem| Err(ManifestError::Inconsistent { problem }))
    }

    fn parts_problem(&self) -> Option<String> {
        if let Some((cut, _)) = self.cuts.iter().zip(1..).find(|(cut, number)| cut.cut != *number) {
            return Some(format!("cut {} is not at its place", cut.cut));
        }
        let mut seen = HashSet::new();
        for section in Section::ALL {
            for part in self.sections.get(section) {
                let is_cut = part.cut > 0 && part.cut as usize <= self.cuts.len();
                let is_first = seen.insert(part.part);
                if part.part.section != section || !is_cut || !is_first {
                    return Some(format!("part {} is not at its place", part.part));
                }
            }
        }
        None
    }

    fn volumes_problem(&self) -> Option<String> {
        if self.volumes.len() > SEAL_FILES {
            return Some("it has too many volumes".to_owned());
        }
        let mut numbered = self.volumes.iter().zip(1..);
        let wrong = numbered.find(|(volume, number)| {
            volume.name != volume_name(*number) || volume.size > VOLUME_BYTES
        });
        wrong.map(|(volume, _)| format!("volume {} is not at its place", volume.name))
    }

    fn gaps_problem(&self) -> Option<String> {
        let counted = self.gaps.kinds.values().fold(0_u64, |sum, count| sum.saturating_add(*count));
        let shown = self.gaps.first.len() as u64;
        let is_right = counted == self.gaps.total && shown <= counted.min(FIRST_GAPS as u64);
        (!is_right).then(|| "the gaps are miscounted".to_owned())
    }
}
