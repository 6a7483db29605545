//! The requests that are made of each CRM, as templates. `describe` asks for exactly these, and a
//! run writes its requests from the same text: what is asked for and what is sent cannot drift
//! apart.

/// A kind of request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route {
    /// Whether it writes.
    pub writes: bool,
    /// `GET`, `POST` or `PATCH`.
    pub method: &'static str,
    /// Path template below the base URL.
    pub path: &'static str,
    /// The query key that lists field names.
    pub query: Option<&'static str>,
    /// Headers beside `accept` and `content-type`.
    pub headers: &'static [(&'static str, &'static str)],
    /// Body template.
    pub body: BodyForm,
}

/// The form of a body.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BodyForm {
    /// No body.
    None,
    /// One record.
    One(&'static str),
    /// Several records.
    Many {
        /// Before the first.
        open: &'static str,
        /// Each of them.
        item: &'static str,
        /// After the last.
        close: &'static str,
        /// Most in one request.
        max: u32,
    },
}

/// All requests of one CRM.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Routes {
    /// Updates one record.
    pub update_one: Route,
    /// The same, if the record was not modified since a date, where the CRM can tell.
    pub update_one_unmodified: Option<Route>,
    /// Updates several.
    pub update_many: Route,
    /// Reads several.
    pub read_many: Route,
    /// Reads one.
    pub read_one: Route,
    /// Reads the definitions of an object's fields.
    pub describe: Route,
    /// Finds the survivors of merged records, where reading one does not lead to it.
    pub survivors: Option<Route>,
    /// Finds records by their e-mail address.
    pub by_email: Option<Route>,
}

/// Stands for a date in the form of RFC 9110.
pub(crate) const HTTP_DATE: &str = "${http-date}";

impl Route {
    /// Most records in one request.
    pub(crate) fn most(&self) -> u32 {
        match self.body {
            BodyForm::Many { max, .. } => max,
            BodyForm::None | BodyForm::One(_) => 1,
        }
    }
}

impl Routes {
    /// In the order in which they are asked for.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Route> {
        let always =
            [&self.update_many, &self.update_one, &self.read_many, &self.read_one, &self.describe];
        always
            .into_iter()
            .chain(&self.update_one_unmodified)
            .chain(&self.survivors)
            .chain(&self.by_email)
    }
}
