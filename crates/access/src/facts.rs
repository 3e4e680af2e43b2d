//! A request with what is looked up once for it.

use std::cell::RefCell;

use chrono_tz::Tz;
use dispatch_model::Tags;

use crate::hours::minute_of_week;
use crate::request::Request;

pub(crate) struct Facts<'a> {
    pub request: Request<'a>,
    /// All groups the principal is in, by its provider's word and by what is stored.
    pub groups: Vec<&'a str>,
    pub name: Option<&'a str>,
    pub application: Option<&'a str>,
    /// Minutes of the week in the zones that were asked for.
    minutes: RefCell<Vec<(Tz, Option<u16>)>>,
}

impl<'a> Facts<'a> {
    pub fn new(request: Request<'a>, groups: Vec<&'a str>) -> Self {
        let name = request.object.map(|object| object.name);
        let application = request.object.and_then(|object| object.application());
        Self { request, groups, name, application, minutes: RefCell::default() }
    }

    /// None while they are not known.
    pub fn tags(&self) -> Option<&'a Tags> {
        self.request.object?.tags
    }

    pub fn minute(&self, zone: Tz) -> Option<u16> {
        let mut minutes = self.minutes.borrow_mut();
        if let Some((_, minute)) = minutes.iter().find(|(known, _)| *known == zone) {
            return *minute;
        }
        let minute = minute_of_week(zone, self.request.now_ms);
        minutes.push((zone, minute));
        minute
    }
}
