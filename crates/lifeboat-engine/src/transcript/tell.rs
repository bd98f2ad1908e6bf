//! One room told again, event by event, from where an earlier run stopped.

use std::collections::HashMap;

use lifeboat_components::transcript::ClientError;
use lifeboat_transcript::event::{Loss, PastEvent};
use lifeboat_transcript::files::files;
use lifeboat_transcript::ids::IdLine;
use lifeboat_transcript::script::{Act, Call, POWER, Script, people};

use super::answer_of;
use super::rooms::CREATE;
use super::run::{Run, is_about_this};
use crate::failure::Failure;
use lifeboat_transcript::outcome::RoomTold;

/// The past of one room.
#[derive(Default)]
pub(super) struct Past {
    /// Events, each with its place in the room's order.
    pub(super) events: Vec<((i64, i64), PastEvent)>,
    /// How many of them were decrypted.
    pub(super) decrypted: u64,
}

/// Tells a room.
pub(super) async fn tell_room(
    run: &Run<'_>,
    old: String,
    mut past: Past,
) -> Result<RoomTold, Failure> {
    past.events.sort_by_key(|(order, _)| *order);
    let events: Vec<PastEvent> = past.events.into_iter().map(|(_, event)| event).collect();
    for person in people(&events) {
        run.person(&person).await?;
    }
    let new = run.ids().room(&old).unwrap_or_default().to_owned();
    let is_there = !run.is_dry || !new.starts_with("!would-be-");
    let mut script = Script::new(&run.cast, &events, &run.erased);
    if is_there {
        catch_up(run, &new, &events).await?;
        for (user, membership) in run.client.members(&new).await.map_err(answer_of)? {
            script.stands(&user, &membership);
        }
    }
    let name = run.rooms.get(&old).and_then(|room| room.name.clone());
    let told = RoomTold { old, new, name, decrypted: past.decrypted, ..RoomTold::default() };
    let mut telling = Telling { run, script, told };
    for event in &events {
        telling.event(event).await?;
        run.cx.advance(1);
    }
    telling.let_owner_in().await?;
    Ok(telling.told)
}

/// Learns what was told and not written down, from the room itself.
async fn catch_up(run: &Run<'_>, room: &str, events: &[PastEvent]) -> Result<(), Failure> {
    let (mut found, mut bare, mut from) = (Vec::new(), Vec::new(), None);
    loop {
        let page = run.client.page(room, from.as_deref()).await.map_err(answer_of)?;
        let mut is_known = false;
        for told in page.told {
            if run.ids().event(&told.old).is_none() {
                found.push(told);
            } else {
                // Everything before it was written down before it.
                is_known |= told.is_itself;
            }
        }
        bare.extend(page.bare);
        from = page.next;
        if is_known || from.is_none() {
            break;
        }
    }
    for told in found.into_iter().rev() {
        run.learn(IdLine::Event { old: told.old, new: told.new })?;
    }
    if bare.is_empty() {
        return Ok(());
    }
    let mut unknown = HashMap::new();
    for event in events {
        let ids = run.ids();
        if let (None, Some(ghost)) = (ids.event(&event.id), ids.person(&event.sender)) {
            unknown.insert((ghost, event.kind.clone(), event.sent), event.id.clone());
        }
    }
    for event in bare {
        if let Some(old) = unknown.remove(&(event.sender, event.kind, event.sent)) {
            run.learn(IdLine::Event { old, new: event.new })?;
        }
    }
    Ok(())
}

struct Telling<'a> {
    run: &'a Run<'a>,
    script: Script<'a>,
    told: RoomTold,
}

impl Telling<'_> {
    async fn event(&mut self, event: &PastEvent) -> Result<(), Failure> {
        if event.kind == CREATE {
            self.told.lose(Loss::Beginning);
            return Ok(());
        }
        if self.run.ids().event(&event.id).is_some() {
            self.script.was_told(event, &self.run.ids());
            self.told.there += 1;
            return Ok(());
        }
        let calls = self.calls(event).await?;
        let sent = match calls {
            Ok(calls) => self.send(calls).await?,
            Err(loss) => Err(loss),
        };
        match sent {
            Ok(new) => self.run.learn(IdLine::Event { old: event.id.clone(), new }),
            Err(loss) => {
                self.told.lose(loss);
                Ok(())
            }
        }
    }

    /// What tells an event, when the files that it names are there.
    async fn calls(&mut self, event: &PastEvent) -> Result<Result<Vec<Call>, Loss>, Failure> {
        let calls = self.script.calls(event, &self.run.ids());
        if calls.is_err() || self.script.is_redacted(event) {
            return Ok(calls);
        }
        let wishes = files(&event.content);
        if wishes.is_empty() {
            return Ok(calls);
        }
        for wish in wishes {
            self.run.file(&wish, &mut self.told).await?;
        }
        Ok(self.script.calls(event, &self.run.ids()))
    }

    /// Sends calls in order; the id of the last event.
    async fn send(&mut self, calls: Vec<Call>) -> Result<Result<String, Loss>, Failure> {
        let mut last = Err(Loss::Refused);
        let before = calls.len().saturating_sub(1);
        for (at, mut call) in calls.into_iter().enumerate() {
            last = self.call(&mut call).await?;
            if last.is_err() {
                return Ok(last);
            }
            self.script.happened(&call);
            if at == before && call.sender == self.run.cast.bot {
                self.told.stood_in += 1;
            }
            match &call.act {
                _ if at < before => self.told.let_in += 1,
                Act::State { .. } => self.told.state += 1,
                Act::Redact { .. } => {
                    self.told.redactions += 1;
                    self.told.undated += 1;
                }
                Act::Send { kind, .. } if kind == "m.room.redaction" => self.told.redactions += 1,
                Act::Send { .. } => self.told.messages += 1,
            }
        }
        Ok(last)
    }

    async fn call(&mut self, call: &mut Call) -> Result<Result<String, Loss>, Failure> {
        loop {
            let error = match self.run.act(&self.told.new, call).await {
                Ok(new) => return Ok(Ok(new)),
                Err(error) => error,
            };
            let is_too_large = error.errcode() == Some("M_TOO_LARGE");
            let goes_on = (error.status() == Some(403) && call.stand_in(&self.run.cast))
                || (is_too_large && call.forget_original());
            if !goes_on {
                return self.refused(error, is_too_large);
            }
        }
    }

    fn refused(
        &mut self,
        error: ClientError,
        is_too_large: bool,
    ) -> Result<Result<String, Loss>, Failure> {
        if !is_about_this(&error) {
            return Err(answer_of(error));
        }
        self.told.refused(error.to_string());
        Ok(Err(if is_too_large { Loss::TooLarge } else { Loss::Refused }))
    }

    /// Invites the owner, and gives them power, unless that was done.
    async fn let_owner_in(&mut self) -> Result<(), Failure> {
        let Some(owner) = self.run.owner.as_deref().filter(|_| !self.run.is_dry) else {
            return Ok(());
        };
        let (client, room) = (&self.run.client, self.told.new.as_str());
        let levels = client.state(room, POWER).await.map_err(answer_of)?;
        let now = (self.run.cx.now)() * 1000;
        if let Some(mut call) = Call::promotion(&self.run.cast, &levels, owner, now) {
            self.call(&mut call).await?.ok();
        }
        if self.script.is_outside(owner) {
            match client.invite(&self.told.new, owner).await {
                Err(error) if is_about_this(&error) => self.told.refused(error.to_string()),
                Err(error) => return Err(answer_of(error)),
                Ok(()) => {}
            }
        }
        Ok(())
    }
}
