//! The statement of a list. What it goes through is in the order asked for, so that a page costs
//! the same however many resources there are.

use dispatch_model::{ListQuery, OrgName, ResourceKind};

use crate::resource_list::{Token, order};
use crate::row::COLUMNS;

/// A list to be selected.
pub(crate) struct List<'a> {
    pub kind: ResourceKind,
    /// One organization, or all.
    pub org: Option<&'a OrgName>,
    pub query: &'a ListQuery,
    /// The labels all resources of the list have, with their values.
    pub labels: Vec<(String, &'a str)>,
    /// Which of the labels leads to the resources.
    pub leader: Option<usize>,
    pub after: Option<Token>,
}

pub(crate) enum Bind {
    Text(String),
    Number(i64),
}

/// SQL with what is bound to its placeholders.
#[derive(Default)]
pub(crate) struct Statement {
    pub sql: String,
    pub binds: Vec<Bind>,
}

impl Statement {
    fn push(&mut self, sql: &str) {
        self.sql.push_str(sql);
    }

    fn text(&mut self, sql: &str, text: &str) {
        self.bind(sql, Bind::Text(text.to_owned()));
    }

    fn bind(&mut self, sql: &str, bind: Bind) {
        self.binds.push(bind);
        self.sql.push_str(sql);
        self.sql.push('$');
        self.sql.push_str(&self.binds.len().to_string());
    }
}

impl List<'_> {
    pub fn statement(&self, limit: Option<i64>) -> Statement {
        let mut statement = Statement::default();
        let columns: Vec<_> = COLUMNS.split(", ").map(|column| format!("r.{column}")).collect();
        statement.push(&format!("SELECT {} FROM ", columns.join(", ")));
        // SQLite goes through the tables of a CROSS JOIN in the order they are written.
        statement.push(match self.leader {
            Some(_) => "resource_label k CROSS JOIN resource r WHERE r.id = k.id AND k.kind = ",
            None => "resource r WHERE r.kind = ",
        });
        statement.text("", self.kind.as_str());
        let key = if self.leader.is_some() { "k" } else { "r" };
        if let Some(org) = self.org {
            statement.text(&format!(" AND {key}.org = "), org.as_str());
        }
        if let Some(name) = &self.query.name {
            statement.text(&format!(" AND {key}.name = "), name);
        }
        self.narrow(&mut statement);
        self.order(&mut statement, key);
        if let Some(limit) = limit {
            statement.bind(" LIMIT ", Bind::Number(limit));
        }
        statement
    }

    fn narrow(&self, statement: &mut Statement) {
        for (at, (label, value)) in self.labels.iter().enumerate() {
            if self.leader == Some(at) {
                statement.text(" AND k.label = ", label);
                statement.text(" AND k.value = ", value);
                continue;
            }
            statement.push(
                " AND EXISTS (SELECT 1 FROM resource_label l WHERE l.kind = r.kind \
                 AND l.org = r.org AND l.name = r.name",
            );
            statement.text(" AND l.label = ", label);
            statement.text(" AND l.value = ", value);
            statement.push(")");
        }
    }

    /// Begins after the last row of the page before.
    fn order(&self, statement: &mut Statement, key: &str) {
        let (column, descending) = order(self.query.sort);
        let (than, direction) = if descending { ("<", " DESC") } else { (">", "") };
        let mut columns = Vec::new();
        columns.extend(column.map(|column| format!("r.{column}")));
        if self.org.is_none() {
            columns.push(format!("{key}.org"));
        }
        columns.push(format!("{key}.name"));
        if let Some(after) = &self.after {
            statement.push(&format!(" AND ({}) {than} (", columns.join(", ")));
            if column.is_some() {
                statement.bind("", Bind::Number(after.key));
                statement.push(", ");
            }
            if self.org.is_none() {
                statement.text("", &after.org);
                statement.push(", ");
            }
            statement.text("", &after.name);
            statement.push(")");
        }
        let ordered: Vec<_> = columns.iter().map(|column| format!("{column}{direction}")).collect();
        statement.push(&format!(" ORDER BY {}", ordered.join(", ")));
    }
}
