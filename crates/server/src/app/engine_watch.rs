//! Watching engines: each watcher sees those it may see, and those that stop being so go.

use std::collections::HashSet;
use std::future::ready;
use std::sync::Arc;

use dispatch_model::ListQuery;
use dispatch_model::engine::Engine;
use futures::{Stream, StreamExt as _};
use uuid::Uuid;

use super::watch::{Event, Numbered};
use super::{App, Caller, Result};
use crate::invoke::engine_maker::operators;

impl App {
    /// As [`App::watch`]. One who does not operate the engines always begins with the present
    /// state: of what it saw before, nothing is known here.
    pub async fn engine_watch(
        self: &Arc<Self>,
        caller: &Caller,
        query: ListQuery,
        from: Option<i64>,
    ) -> Result<impl Stream<Item = Result<Numbered<Engine>>> + Send + use<>> {
        let from = from.filter(|_| self.operates(caller));
        let events = self.watch_in::<Engine>(caller, operators(), query, from).await?;
        let (app, caller, mut known) = (self.clone(), caller.clone(), HashSet::new());
        Ok(events.filter_map(move |event| {
            let seen = match event {
                Ok((number, event)) => {
                    app.engine_event(&caller, &mut known, event).map(|event| Ok((number, event)))
                }
                Err(error) => Some(Err(error)),
            };
            ready(seen)
        }))
    }

    fn engine_event(
        &self,
        caller: &Caller,
        known: &mut HashSet<Uuid>,
        event: Event<Engine>,
    ) -> Option<Event<Engine>> {
        let operates = self.operates(caller);
        match event {
            Event::Added(engine) | Event::Modified(engine) if !operates => {
                let (name, id) = (engine.meta.name.clone(), engine.meta.id);
                match self.seen_by(caller, engine) {
                    Some(engine) if known.insert(id) => Some(Event::Added(engine)),
                    Some(engine) => Some(Event::Modified(engine)),
                    None => known.remove(&id).then_some(Event::Deleted { name, id }),
                }
            }
            Event::Added(engine) => {
                known.insert(engine.meta.id);
                self.seen_by(caller, engine).map(Event::Added)
            }
            Event::Modified(engine) => {
                known.insert(engine.meta.id);
                self.seen_by(caller, engine).map(Event::Modified)
            }
            Event::Deleted { name, id } => {
                let there = known.remove(&id);
                (there || operates).then_some(Event::Deleted { name, id })
            }
        }
    }
}
