//! Sentences that several commands tell alike.

use lifeboat_package::manifest::Gaps;

use crate::size;

/// Gaps that are told one by one.
const TOLD: usize = 20;

/// One line of a result: a word, and what there is to say.
pub(super) fn line(word: &str, text: &str) -> String {
    format!("{word:<9} {text}")
}

/// How many gaps of which kind, and the first of them.
pub(super) fn gaps(gaps: &Gaps) -> Vec<String> {
    if gaps.total == 0 {
        return vec![line("gaps", "none")];
    }
    let kinds: Vec<String> =
        gaps.kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    let mut lines = vec![line("gaps", &format!("{}: {}", gaps.total, kinds.join(", ")))];
    for gap in gaps.first.iter().take(TOLD) {
        lines.push(format!("  {} {}: {}", gap.kind, gap.object, gap.detail));
        if !gap.remedy.is_empty() {
            lines.push(format!("    help: {}", gap.remedy));
        }
    }
    let told = u64::try_from(gaps.first.len().min(TOLD)).unwrap_or(u64::MAX);
    if gaps.total > told {
        let more = size::count(gaps.total - told, "more is", "more are");
        lines.push(format!("  {more} in the package: lifeboat unpack writes them out"));
    }
    lines
}
