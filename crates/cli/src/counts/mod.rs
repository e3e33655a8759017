//! `pageviews counts`: what was counted, as the bucket has it.

mod render;
mod sums;

use std::num::NonZeroUsize;

use anyhow::Context as _;
use clap::Args;
use model::{EpochSeconds, PageviewAggregate, Postcode};
use s3_sink::Kind;
use s3_sink::bucket::Bucket;
use service::Config;

use crate::arguments::time;
use crate::objects::Found;
use crate::span::Span;
use crate::{Verdict, objects, output};
use sums::{Filter, Folder, Sums};

/// Show the counts in the bucket: aggregates/ and late/, added up
///
/// A count may lie in several rows: those that were counted in time, in aggregates/, and those of events that came
/// after their minute was closed, in late/. This command shows the sum.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only this postcode
    #[arg(long, value_name = "POSTCODE", value_parser = postcode)]
    postcode: Option<Postcode>,
    /// Only minutes from this time on, in UTC: 2021-01-26, 2021-01-26T12:04 or 2021-01-26T12:04:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<EpochSeconds>,
    /// Only minutes before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<EpochSeconds>,
    /// The N postcodes with the most pageviews, over all minutes
    #[arg(long, value_name = "N")]
    top: Option<NonZeroUsize>,
    /// As a bar chart
    #[arg(long, conflicts_with = "json")]
    bars: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(config: &Config, options: &Options) -> anyhow::Result<Verdict> {
    let bucket = objects::bucket(config).await?;
    let filter = Filter { postcode: options.postcode, span: Span::new(options.from, options.to)? };
    let mut sums = Sums::default();
    add(&bucket, Kind::Aggregates, Folder::Aggregates, filter, &mut sums).await?;
    add(&bucket, Kind::Late, Folder::Late, filter, &mut sums).await?;

    let (rows, total) = (render::rows(&sums, options.top.map(NonZeroUsize::get)), sums.total());
    if options.json {
        output::line(render::json(&rows, total)?)?;
    } else if rows.is_empty() {
        output::line(format!(
            "no counts in {bucket} that match; a minute is counted after its end and the grace time, and written with \
             the sink's next flush"
        ))?;
    } else {
        output::line(render::text(&rows, total, options.bars))?;
    }
    Ok(Verdict::Good)
}

async fn add(
    bucket: &Bucket,
    kind: Kind,
    folder: Folder,
    filter: Filter,
    sums: &mut Sums,
) -> anyhow::Result<()> {
    let Some(name) = kind.folder() else { return Ok(()) };
    let mut listed = objects::list(bucket, &format!("{name}/")).await?;
    listed.retain(|object| filter.span.meets_day_of(&object.key));
    let rows = move |object: &Found| {
        let mut rows = Vec::new();
        object.for_each(|record| {
            rows.push(PageviewAggregate::parse(record.bytes())?);
            Ok(())
        })?;
        rows.retain(|row| filter.takes(row));
        Ok(rows)
    };
    objects::read(bucket, name, listed, rows, |key, rows| {
        // A sum that leaves something out is none.
        let rows = rows.with_context(|| format!("cannot read {key}"))?;
        rows.iter().for_each(|row| sums.add(folder, row));
        Ok(())
    })
    .await
}

fn postcode(text: &str) -> Result<Postcode, String> {
    Postcode::parse(text).map_err(|error| error.to_string())
}
