//! One room told again, event by event, from where an earlier run stopped.

use lifeboat_transcript::event::{Loss, PastEvent};
use lifeboat_transcript::files::files;
use lifeboat_transcript::ids::IdLine;
use lifeboat_transcript::script::{Act, Call, Script, people};

use crate::rooms::CREATE;
use crate::run::Run;
use crate::stuck;
use lifeboat_engine::failure::Failure;
use lifeboat_transcript::outcome::RoomTold;

/// The past of one room.
#[derive(Default)]
pub(crate) struct Past {
    /// Events, each with its place in the room's order.
    pub(crate) events: Vec<((i64, i64), PastEvent)>,
    /// How many of them were decrypted.
    pub(crate) decrypted: u64,
    /// Why others were not even gathered.
    pub(crate) lost: Vec<Loss>,
}

/// Tells a room.
pub(crate) async fn tell_room(
    run: &Run<'_>,
    old: String,
    mut past: Past,
) -> Result<RoomTold, Failure> {
    past.events.sort_by_key(|(order, _)| *order);
    let events: Vec<PastEvent> = past.events.into_iter().map(|(_, event)| event).collect();
    for person in people(&events) {
        run.stage.person(&person).await.map_err(stuck)?;
    }
    let new = run.stage.ids().room(&old).unwrap_or_default().to_owned();
    let standing = run.stage.catch_up(&new, &events).await.map_err(stuck)?;
    let mut script = Script::new(&run.stage.cast, &events, &run.erased);
    for (user, membership) in standing {
        script.stands(&user, &membership);
    }
    let name = run.rooms.get(&old).and_then(|room| room.name.clone());
    let mut told = RoomTold { old, new, name, decrypted: past.decrypted, ..RoomTold::default() };
    past.lost.into_iter().for_each(|loss| told.lose(loss));
    let mut telling = Telling { run, script, told };
    for event in &events {
        telling.event(event).await?;
        run.cx.advance(1);
    }
    telling.let_owner_in().await?;
    Ok(telling.told)
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
        if self.run.stage.ids().event(&event.id).is_some() {
            self.script.was_told(event, &self.run.stage.ids());
            self.told.there += 1;
            return Ok(());
        }
        let calls = self.calls(event).await?;
        let sent = match calls {
            Ok(calls) => self.send(calls).await?,
            Err(loss) => Err(loss),
        };
        match sent {
            Ok(new) => {
                let line = IdLine::Event { old: event.id.clone(), new };
                self.run.stage.learn(line).map_err(stuck)
            }
            Err(loss) => {
                self.told.lose(loss);
                Ok(())
            }
        }
    }

    /// What tells an event, when the files that it names are there.
    async fn calls(&mut self, event: &PastEvent) -> Result<Result<Vec<Call>, Loss>, Failure> {
        let calls = self.script.calls(event, &self.run.stage.ids());
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
        Ok(self.script.calls(event, &self.run.stage.ids()))
    }

    /// Sends calls in order; the id of the last event.
    async fn send(&mut self, calls: Vec<Call>) -> Result<Result<String, Loss>, Failure> {
        let mut last = Err(Loss::Refused);
        let before = calls.len().saturating_sub(1);
        for (at, mut call) in calls.into_iter().enumerate() {
            let done = self.run.stage.act(&self.told.new, &mut call).await.map_err(stuck)?;
            last = match done {
                Ok(new) => Ok(new),
                Err(no) => {
                    self.told.refused(no.why);
                    return Ok(Err(no.loss));
                }
            };
            self.script.happened(&call);
            if at == before && call.sender == self.run.stage.cast.bot {
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

    /// Invites the owner, and gives them power, unless that was done.
    async fn let_owner_in(&mut self) -> Result<(), Failure> {
        let Some(owner) = &self.run.owner else { return Ok(()) };
        let who = (owner.as_str(), self.script.is_outside(owner));
        let now = (self.run.cx.now)() * 1000;
        if let Err(no) = self.run.stage.let_in(&self.told.new, who, now).await.map_err(stuck)? {
            self.told.refused(no.why);
        }
        Ok(())
    }
}
