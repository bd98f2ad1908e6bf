//! A page of messages: day by day, with the way to the months before and after.

use super::entry::{Entry, entry};
use super::{Files, Page, Pages, RoomCard, Site, document};
use crate::markup::Html;
use crate::timeline::Timeline;

/// Milliseconds within which one who goes on speaking is not named again.
const SAME_BREATH_MS: i64 = 5 * 60 * 1000;

/// What a page of a room is made of.
pub(super) struct Leaf<'a> {
    pub(super) site: &'a Site,
    pub(super) timeline: &'a Timeline,
    pub(super) pages: &'a Pages,
    pub(super) page: &'a Page,
    pub(super) files: &'a Files,
}

/// A page of messages of a room.
pub fn month_page(
    site: &Site,
    room: &RoomCard,
    (timeline, pages): (&Timeline, &Pages),
    page: &Page,
    files: &Files,
) -> String {
    let leaf = Leaf { site, timeline, pages, page, files };
    let mut html = Html::default();
    html.raw("<p class=\"up\"><a href=\"index.html\">");
    super::own(&mut html, &room.name);
    html.raw("</a></p>\n<h1>").text(&page.title).raw("</h1>\n");
    let ways = ways(pages, page);
    html.raw("<nav aria-label=\"Months\">").add(&ways).raw("</nav>\n");
    days(&mut html, &leaf);
    html.raw("<nav aria-label=\"Months, again\">").add(&ways).raw("</nav>\n");
    document(site, &format!("{} – {}", room.name, page.title), "../../", &html)
}

/// The pages before and after.
fn ways(pages: &Pages, page: &Page) -> Html {
    let all = pages.all();
    let at = all.iter().position(|other| other.file == page.file).unwrap_or_default();
    let mut html = Html::default();
    if let Some(before) = at.checked_sub(1).and_then(|before| all.get(before)) {
        html.raw("<a rel=\"prev\" href=\"").text(&before.file).raw("\">← ");
        html.text(&before.title).raw("</a>");
    }
    if let Some(after) = all.get(at + 1) {
        html.raw("<a rel=\"next\" href=\"").text(&after.file).raw("\">");
        html.text(&after.title).raw(" →</a>");
    }
    html
}

fn days(html: &mut Html, leaf: &Leaf<'_>) {
    let mut day = None;
    let mut last: Option<(&str, i64)> = None;
    for index in &leaf.page.entries {
        let Some(event) = leaf.timeline.event(*index) else { continue };
        let this_day = leaf.site.calendar.day(event.sent);
        if day.as_ref() != Some(&this_day) {
            if day.is_some() {
                html.raw("</ol>\n</section>\n");
            }
            html.raw("<section>\n<h2 class=\"day\"><span>").text(&this_day).raw("</span></h2>\n");
            html.raw("<ol class=\"events\">\n");
            (day, last) = (Some(this_day), None);
        }
        let goes_on = last.is_some_and(|(sender, sent)| {
            sender == event.sender && (0..SAME_BREATH_MS).contains(&event.sent.wrapping_sub(sent))
        });
        html.add(&entry(leaf, &Entry { index: *index, event, goes_on }));
        last = (!event.is_state()).then_some((event.sender.as_str(), event.sent));
    }
    if day.is_some() {
        html.raw("</ol>\n</section>\n");
    }
}
