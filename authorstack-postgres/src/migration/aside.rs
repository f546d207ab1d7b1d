//! The SQL for what is set aside: the row arrives without the value, and `extra` keeps it.

use authorstack_core::{SET_ASIDE, fields::Shape};

use super::{
    columns::{constant, quoted},
    conversion::{Conversion, Known, LONG, LOSSY, Rule, Then, Trouble},
};

impl Conversion {
    /// Decides what becomes of rows that break each rule.
    pub(super) fn choose_what_is_set_aside(&self, rules: &mut [Rule]) {
        if self.strict {
            return;
        }
        for rule in rules {
            let field = self.fields().find(|(column, _)| *column == rule.field);
            rule.then = match rule.trouble {
                _ if field.is_none_or(|(_, field)| field.vital) => Then::Refused,
                // Nothing holds a value that is too long.
                Trouble::Id | Trouble::Absent(_) | Trouble::Missing | LONG => Then::Refused,
                LOSSY => Then::With,
                Trouble::Value(_) => Then::Without,
            };
        }
    }

    /// The columns that move without their values if they break a rule, each once.
    pub(super) fn set_aside_columns(&self) -> Vec<&'static str> {
        let mut columns: Vec<&'static str> = Vec::new();
        for rule in self.rules.iter().filter(|rule| rule.sets_aside()) {
            if columns.last() != Some(&rule.field) {
                columns.push(rule.field);
            }
        }
        columns
    }

    /// SQL that is true if the value of a column is set aside.
    pub(super) fn is_set_aside(&self, column: &str) -> String {
        let rules = self.rules.iter();
        let rules = rules.filter(|rule| rule.field == column && rule.sets_aside());
        let broken: Vec<String> = rules.map(|rule| format!("({})", rule.broken)).collect();
        broken.join(" or ")
    }

    /// SQL for the columns as they arrive: without what is set aside, which `extra` keeps.
    pub(super) fn arriving(&self) -> Vec<String> {
        let aside = self.set_aside_columns();
        let columns = self.kind.column_names().into_iter();
        let columns = columns.map(|name| {
            if name == "extra" && !aside.is_empty() {
                return format!("{} as extra", self.extra_with(&aside));
            }
            let rules = self.rules.iter();
            let mut rules = rules.filter(|rule| rule.field == name && rule.then == Then::Without);
            if rules.next().is_none() {
                return format!("c.{name}");
            }
            let mut fields = self.fields();
            let field = fields.find(|(column, _)| *column == name);
            let instead = match (name, field.map(|(_, field)| field.shape)) {
                ("records_synced", _) => "0",
                (_, Some(Shape::Sums)) => "'{}'::jsonb",
                _ => "null",
            };
            let lossy = self
                .rules
                .iter()
                .any(|rule| rule.field == name && rule.then == Then::With);
            if lossy {
                // What is only lossy stays in its new form, and what makes no sense has none.
                let without = self
                    .rules
                    .iter()
                    .filter(|rule| rule.field == name && rule.then == Then::Without);
                let broken: Vec<String> =
                    without.map(|rule| format!("({})", rule.broken)).collect();
                return format!(
                    "case when c.aside_{name} and ({}) is true then {instead} else c.{name} end \
                     as {name}",
                    broken.join(" or ")
                );
            }
            format!("case when c.aside_{name} then {instead} else c.{name} end as {name}")
        });
        columns.collect()
    }

    /// SQL for `extra` with the values of these columns that are set aside.
    fn extra_with(&self, columns: &[&str]) -> String {
        let any: Vec<String> = columns
            .iter()
            .map(|name| format!("c.aside_{name}"))
            .collect();
        let held = format!("c.extra -> '{SET_ASIDE}'");
        let values = columns.iter().map(|name| {
            let value = format!("(c.original).{}", quoted(name));
            let value = match self.column(name) {
                Some(column) => column.as_json(&value),
                None => "null::jsonb".to_owned(),
            };
            format!(
                "case when c.aside_{name} then jsonb_build_object({}, {value}) \
                  else '{{}}'::jsonb end",
                constant(name)
            )
        });
        let values: Vec<String> = values.collect();
        format!(
            "case when {} then coalesce(c.extra, '{{}}'::jsonb) || jsonb_build_object(\
               '{SET_ASIDE}', case when {held} is null then '{{}}'::jsonb \
                 when jsonb_typeof({held}) = 'object' then {held} \
                 else jsonb_build_object('{SET_ASIDE}', {held}) end || {}) \
               else c.extra end",
            any.join(" or "),
            values.join(" || ")
        )
    }

    /// Whether a row with these [flags](Self::flags) can move.
    pub(super) fn can_move(&self, flags: &[bool]) -> bool {
        let mut rules = self.rules.iter().zip(flags);
        rules.all(|(rule, broken)| !broken || rule.sets_aside())
    }

    /// The rows of a range that move with values set aside, as [`Self::records`] returns them; `None`
    /// if nothing can be set aside.
    pub(super) fn aside(&self, known: &Known) -> Option<String> {
        let columns = self.set_aside_columns();
        if columns.is_empty() {
            return None;
        }
        let any: Vec<String> = columns
            .iter()
            .map(|name| format!("c.aside_{name}"))
            .collect();
        let select = self.select(known, &self.record_columns(), "t.id > $1 and t.id <= $2");
        Some(format!(
            "{select} where ({}) and {} order by c.id",
            any.join(" or "),
            self.sound(known)
        ))
    }
}
