//! `dedupe`.

use trommel_shards::columns::UID;

use super::cutter::Cutter;
use crate::job::{Pass, PassKind};
use crate::plan::Keep;
use crate::recipe::document::{Placed, StageSettings};
use crate::recipe::error::RecipeError;
use crate::recipe::settings::DedupeSettings;

impl Cutter<'_> {
    pub(super) fn dedupe(
        &mut self,
        number: usize,
        name: &str,
        stage: &Placed<StageSettings>,
        settings: &DedupeSettings,
    ) -> Result<(), RecipeError> {
        if self.fetch.is_some() {
            return Err(RecipeError::new(
                &stage.place,
                "`dedupe` after `fetch` would rewrite every shard: put it before `fetch`, or run it over the finished shards",
            ));
        }
        if settings.by.is_empty() {
            return Err(RecipeError::new(stage.key("by"), "`by` names no column"));
        }
        for column in &settings.by {
            self.schema.field_with_name(column).map_err(|_| self.no_column(stage.key("by"), column))?;
        }
        let order = self.order(number, stage, settings)?;
        self.close_tables();
        let kind = PassKind::Dedupe { stage: name.to_owned(), by: settings.by.clone(), order, against: settings.against.clone() };
        self.passes.push(Pass { name: format!("{number}-dedupe"), before: Vec::new(), kind });
        self.open = Some(Pass { name: format!("{number}-kept"), before: Vec::new(), kind: PassKind::Table { shards: None } });
        Ok(())
    }

    fn order(&self, number: usize, stage: &Placed<StageSettings>, settings: &DedupeSettings) -> Result<Vec<(String, bool)>, RecipeError> {
        let place = stage.key("order");
        let Some(text) = settings.order.as_deref().map(str::trim).filter(|text| !text.is_empty() && *text != "first") else {
            return Ok(Vec::new());
        };
        if text == "hash" {
            let uid = if self.schema.field_with_name(UID).is_ok() { UID } else { "_uid" };
            // Rows of one key may share their uid: the place in the input breaks such ties.
            return Ok(vec![(format!("draw({}, '{number}.dedupe', {uid})", self.recipe.job.value.seed), false)]);
        }
        use datafusion::sql::sqlparser::{dialect::GenericDialect, parser::Parser};
        let items = Parser::new(&GenericDialect {})
            .try_with_sql(text)
            .and_then(|mut parser| parser.parse_comma_separated(Parser::parse_order_by_expr))
            .map_err(|e| RecipeError::new(place, e.to_string()))?;
        let order: Vec<(String, bool)> = items.into_iter().map(|item| (item.expr.to_string(), item.options.asc == Some(false))).collect();
        for (sql, _) in &order {
            Keep::parse("order", &format!("({sql}) is null"))
                .and_then(|probe| probe.check(self.context, &self.schema))
                .map_err(|e| RecipeError::new(place, e.to_string()))?;
        }
        Ok(order)
    }
}
