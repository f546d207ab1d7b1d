//! The SQL that brings the breakdowns of a roll-up into the schema's form. Both lanes read it, so a
//! breakdown is the same in both.

/// The names of a sum.
const NAMES: &str = "'{revenue,units,page_reads}'::text[]";
/// Those that an old app may have written.
const OLD_NAMES: &str = "'{revenue,units,page_reads,pageReads}'::text[]";
/// The digits that a decimal number holds.
const DIGITS: u8 = 28;

/// Numbers as amounts were written: what is left of adding floats up has many digits.
const AMOUNT: &str = r"^-?[0-9]{1,11}(\.[0-9]{1,60})?$|^-?[0-9](\.[0-9]{1,9})?[eE][-+]?[0-9]$|^-?[0-9](\.[0-9]{1,17})?[eE]-[1-5]?[0-9]$";
const WHOLE: &str = r"^-?[0-9]{1,18}(\.0+)?$";

/// SQL for the sums in JSON: three numbers for each name, which hold all their digits in core too.
/// Null if there are none, or if they make no sense. `wrong_name` is true for an entry `e` with a
/// wrong name.
pub(super) fn sums(json: &str, wrong_name: &str) -> String {
    let (plain, wrong) = (is_plain(), is_wrong());
    let (revenue, digits) = (revenue(), behind_the_point());
    format!(
        "case when jsonb_typeof({json}) <> 'object' then null \
          when not exists (select from jsonb_each({json}) as e \
            where {wrong_name} or not ({plain})) then {json} \
          when exists (select from jsonb_each({json}) as e \
            where {wrong_name} or ({wrong})) then null \
          else (select jsonb_object_agg(e.key, jsonb_build_object(\
              'revenue', case when scale({revenue}) > ({digits}) \
                then round({revenue}, {digits}) else {revenue} end, \
              'units', trunc({}), 'page_reads', trunc({}))) \
            from jsonb_each({json}) as e) end",
        number("'units'"),
        page_reads()
    )
}

/// SQL that is true if the form of [`sums`] has not all that this JSON has. Only for JSON that has
/// such a form.
pub(super) fn is_lossy(json: &str) -> String {
    format!(
        "exists (select from jsonb_each({json}) as e where e.value - {OLD_NAMES} <> '{{}}' \
           or e.value ?& '{{page_reads,pageReads}}'::text[] or scale({}) > ({}))",
        revenue(),
        behind_the_point()
    )
}

/// Whether an entry has exactly the three numbers.
fn is_plain() -> String {
    let number = |name: &str, pattern: &str| {
        format!(
            "jsonb_typeof(e.value -> '{name}') = 'number' and e.value ->> '{name}' ~ '{pattern}'"
        )
    };
    let whole = "^-?[0-9]{1,18}$";
    format!(
        "case when jsonb_typeof(e.value) <> 'object' then false \
          else e.value ?& {NAMES} and e.value - {NAMES} = '{{}}' and {} and {} and {} end",
        number("revenue", r"^-?[0-9]{1,11}(\.[0-9]{1,17})?$"),
        number("units", whole),
        number("page_reads", whole)
    )
}

/// Whether an entry is none of numbers. What is missing is zero.
fn is_wrong() -> String {
    format!(
        "case when jsonb_typeof(e.value) <> 'object' then true \
          else coalesce(e.value ->> 'revenue', '0') !~ '{AMOUNT}' \
            or coalesce(e.value ->> 'units', '0') !~ '{WHOLE}' \
            or coalesce(e.value ->> 'page_reads', e.value ->> 'pageReads', '0') !~ '{WHOLE}' end"
    )
}

fn number(name: &str) -> String {
    format!("coalesce(e.value ->> {name}, '0')::numeric")
}

fn revenue() -> String {
    number("'revenue'")
}

fn page_reads() -> String {
    "coalesce(e.value ->> 'page_reads', e.value ->> 'pageReads', '0')::numeric".to_owned()
}

/// How many digits the revenue of an entry may have behind the decimal point.
fn behind_the_point() -> String {
    let whole = format!("trunc(abs({}))", revenue());
    format!("{DIGITS} - case when {whole} = 0 then 0 else length({whole}::text) end")
}
