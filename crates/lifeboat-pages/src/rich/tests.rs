//! Formatted messages: what stays, and that nothing else gets through.

use proptest::prelude::*;

use super::rich;

fn check(formatted: &str, expected: &str) {
    assert_eq!(rich(formatted).into_string(), expected, "{formatted}");
}

#[test]
fn elements_of_the_short_list_stay_without_attributes() {
    check("<b>bold</b> <em onclick=\"x()\">em</em>", "<b>bold</b> <em>em</em>");
    check("<p style=\"x\">a</p><p>b</p>", "<p>a</p><p>b</p>");
    check("<h1>Big</h1>", "<p class=\"heading\">Big</p>");
    check("<ul><li>a<li>b</ul>", "<ul><li>a</li><li>b</li></ul>");
    check("<table><tr><td>1<td>2</table>", "<table><tr><td>1</td><td>2</td></tr></table>");
    check("a<br/>b<hr>c", "a<br>b<hr>c");
}

#[test]
fn what_is_left_open_is_closed_in_order() {
    check("<b><i>x</b>y", "<b><i>x</i></b>y");
    check("<blockquote><b>x", "<blockquote><b>x</b></blockquote>");
    check("x</b></div></li></ol></main>", "x");
    check("<p>a<div>b</div>", "<p>a</p><div>b</div>");
}

#[test]
fn a_list_item_without_a_list_does_not_end_the_item_it_stands_in() {
    check("<li>x</li><tr><td>y</td></tr>", "xy");
    check("<ul><div><li>x</li></div></ul>", "<ul><div>x</div></ul>");
}

#[test]
fn scripts_and_styles_are_gone_with_their_content() {
    check("a<script>alert(1)</script>b", "ab");
    check("a<SCRIPT src=//evil.test>alert(1)</sCrIpT >b", "ab");
    check("a<style>*{display:none}</style>b", "ab");
    check("a<svg><script>x</script></svg>b", "ab");
    check("a<mx-reply><blockquote>old</blockquote></mx-reply>b", "ab");
    check("a<script>never closed", "a");
}

#[test]
fn unknown_elements_leave_their_text() {
    check("<marquee>x</marquee><form><input value=y><button>z</button></form>", "xz");
    check("<img src=\"https://evil.test/x.png\" alt=\"a <cat>\">", "a &lt;cat&gt;");
    check("<img src=x onerror=alert(1)>", "[picture]");
    check("<!-- <script>x</script> -->a<!DOCTYPE b>c<?php x ?>d", "acd");
}

#[test]
fn links_lead_to_the_web_and_nowhere_else() {
    let link =
        |address: &str| format!("<a rel=\"noreferrer noopener nofollow\" href=\"{address}\">x</a>");
    check("<a href=\"https://a.test/?b=1&amp;c=2\">x</a>", &link("https://a.test/?b=1&amp;c=2"));
    check("<a href='HTTPS://a.test' target=_blank>x</a>", &link("HTTPS://a.test"));
    check("<a href=mailto:a@b.test>x</a>", &link("mailto:a@b.test"));
    for evil in [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "&#106;avascript:alert(1)",
        "&#x6A;avascript:alert(1)",
        " javascript:alert(1)",
        "java&#10;script:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "//evil.test",
        "vbscript:x",
        "https:&#10;//x",
    ] {
        check(&format!("<a href=\"{evil}\">x</a>"), "x");
    }
    let quoted = "<a href=\"https://a.test/&quot; onmouseover=&quot;x\">x</a>";
    check(quoted, "x");
    let quoted = "<a href='https://a.test/\"onmouseover=\"x'>x</a>";
    check(quoted, &link("https://a.test/&quot;onmouseover=&quot;x"));
    check("<a href=https://a.test><a href=https://b.test>x</a></a>", &link("https://a.test"));
}

#[test]
fn references_to_characters_stay_characters() {
    check("&lt;script&gt; &amp;amp; &eacute;", "&lt;script&gt; &amp;amp; &eacute;");
    check("&#60;script&#62;", "&lt;script&gt;");
    check(
        "a & b &; &#xZZ; &verylongnameofnothingthatisnoreferenceatall;",
        "a &amp; b &amp;; &amp;#xZZ; &amp;verylongnameofnothingthatisnoreferenceatall;",
    );
    check("1 < 2 > 0", "1 &lt; 2 &gt; 0");
    check("&#x202e;evil", "[U+202E]evil");
}

/// The tags that may come out, without those of links.
fn strip_tags(html: &str) -> Result<String, String> {
    let mut text = String::new();
    let mut rest = html;
    while let Some((before, after)) = rest.split_once('<') {
        text.push_str(before);
        let (tag, tail) = after.split_once('>').ok_or("an open tag")?;
        let known = super::ELEMENTS.iter().any(|element| {
            element.open == format!("<{tag}>") || element.close == format!("<{tag}>")
        });
        let link = tag.starts_with("a rel=\"noreferrer noopener nofollow\" href=\"http")
            && tag.matches('"').count() == 4;
        if !known && !link && !["br", "hr", "/a"].contains(&tag) {
            return Err(format!("<{tag}>"));
        }
        rest = tail;
    }
    text.push_str(rest);
    Ok(text)
}

/// Pieces of hostile markup, in any order.
fn shards(shards: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(shards), 0..60).prop_map(|some| some.concat())
}

const SHARDS: &[&str] = &[
    "<", ">", "\"", "'", "=", "/", " ", "&", ";", "#", "!", "-", "script", "img", "src", "href",
    "http://x", "a", "li", "ul", "p", "b", "table", "td", "on", "x",
];

const TAGS: &[&str] = &[
    "<b>",
    "</b>",
    "<i>",
    "</i>",
    "<p>",
    "</p>",
    "<div>",
    "</div>",
    "<ul>",
    "</ul>",
    "<li>",
    "</li>",
    "<ol>",
    "</ol>",
    "<table>",
    "</table>",
    "<tr>",
    "</tr>",
    "<td>",
    "</td>",
    "<a href=http://x>",
    "</a>",
    "<pre>",
    "</pre>",
    "x",
];

proptest! {
    #[test]
    fn nothing_but_the_short_list_comes_out(text in shards(SHARDS)) {
        let html = rich(&text).into_string();
        let stripped = strip_tags(&html);
        prop_assert!(stripped.is_ok(), "{text} → {html}: {stripped:?}");
        prop_assert!(!stripped.unwrap_or_default().contains('>'));
    }

    #[test]
    fn any_text_comes_out_balanced(text in shards(TAGS)) {
        let html = rich(&text).into_string();
        for element in ["b", "i", "p", "div", "ul", "li", "ol", "table", "tr", "td", "a", "pre"] {
            let opens = html.matches(&format!("<{element}>")).count()
                + html.matches(&format!("<{element} ")).count();
            prop_assert_eq!(opens, html.matches(&format!("</{element}>")).count());
        }
    }
}
