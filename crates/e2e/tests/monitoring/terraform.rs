//! What `terraform/environments/local` makes beside the bucket, in an emulator of CloudWatch, SNS and Glue.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use stack::{Emulator, Options};

/// What [`Emulator::terraform`] is told each time.
const ON: [&str; 4] = ["-input=false", "-no-color", "-var=monitoring=true", "-var=catalog=true"];
/// What MiniStack does not tell the provider of an alarm, so that every plan wants to set it: terraform/README.md.
const DRIFT: [&str; 8] = [
    "actions_enabled",
    "alarm_actions",
    "alarm_description",
    "dimensions",
    "ok_actions",
    "period",
    "statistic",
    "treat_missing_data",
];
/// APIs, as `X-Amz-Target` names them.
const CLOUDWATCH: &str = "GraniteServiceVersion20100801";
const GLUE: &str = "AWSGlue";
const WRITERS: [&str; 4] = ["raw", "aggregates", "late", "dead_letters"];
const TOPIC: &str = "arn:aws:sns:eu-west-2:000000000000:pageviews-alarms";

#[tokio::test]
async fn alarms_dashboard_and_tables_are_made_and_a_second_plan_changes_nothing() -> Result<()> {
    let Options { home, repo, .. } = Options::test("terraform")?;
    let emulator = Emulator::alone(&home, |_| ()).await?;
    let terraform = async |arguments: &[&str]| -> Result<Vec<u8>> {
        let output = emulator.terraform(&repo, arguments).await?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "terraform {arguments:?}: {said}");
        Ok(output.stdout)
    };

    terraform(&[&["apply", "-auto-approve"], &ON[..]].concat()).await?;
    check_alarms(&emulator).await?;
    check_topic_and_dashboard(&emulator).await?;
    check_tables(&emulator).await?;

    terraform(&[&["plan", "-out=second"], &ON[..]].concat()).await?;
    let plan = terraform(&["show", "-json", "second"]).await?;
    check_plan(&serde_json::from_slice(&plan)?)?;

    // Neither is there by default, and what was made goes.
    terraform(&["apply", "-auto-approve", "-input=false", "-no-color"]).await?;
    let alarms = ask(&emulator, CLOUDWATCH, "DescribeAlarms", &json!({})).await?;
    let databases = ask(&emulator, GLUE, "GetDatabases", &json!({})).await?;
    ensure!(alarms["MetricAlarms"] == json!([]), "{alarms}");
    ensure!(databases["DatabaseList"] == json!([]), "{databases}");

    emulator.stop().await?;
    std::fs::remove_dir_all(home)?;
    Ok(())
}

/// Every alarm is there and tells the topic; those on one metric look at what they should. Of the others the emulator
/// does not keep the metrics: the module's own tests look at these.
async fn check_alarms(emulator: &Emulator) -> Result<()> {
    let answer = ask(emulator, CLOUDWATCH, "DescribeAlarms", &json!({"MaxRecords": 100})).await?;
    let alarms = answer["MetricAlarms"].as_array().context("no alarms")?;
    let names: BTreeSet<&str> = alarms.iter().filter_map(|alarm| alarm["AlarmName"].as_str()).collect();
    let of_each = |kind: &str| WRITERS.map(|writer| format!("pageviews-{kind}-{writer}"));
    let kinds = ["consumer-lag", "oldest-unflushed", "partitions-parked", "offsets-lost", "s3-error-rate"];
    let mut expected: BTreeSet<String> = kinds.iter().flat_map(|kind| of_each(kind)).collect();
    let others = [
        "5xx-share",
        "aggregator-silent",
        "consumer-lag-aggregator",
        "dead-letters-aggregates",
        "dead-letters-aggregator",
        "dead-letters-late",
        "dead-letters-raw",
        "event-ids-dropped",
        "late-share",
        "no-metrics-aggregator",
        "no-metrics-ingest-api",
        "no-metrics-s3-sink",
        "offsets-missed",
        "offsets-truncated",
    ];
    expected.extend(others.map(|name| format!("pageviews-{name}")));
    ensure!(names == expected.iter().map(String::as_str).collect(), "alarms are {names:?}");

    for alarm in alarms {
        let told = json!([TOPIC]);
        ensure!(alarm["AlarmActions"] == told && alarm["OKActions"] == told, "{alarm} tells others");
        let words = alarm["AlarmDescription"].as_str().unwrap_or_default();
        ensure!(words.contains(" See deploy/monitoring/README.md#"), "{alarm} does not say where to read on");
    }
    for writer in WRITERS {
        let name = format!("pageviews-offsets-lost-{writer}");
        let alarm = alarms.iter().find(|alarm| alarm["AlarmName"] == *name).context("no alarm")?;
        let mut dimensions = alarm["Dimensions"].as_array().cloned().unwrap_or_default();
        dimensions.sort_by_key(|dimension| dimension["Name"].to_string());
        let looks_at = json!({
            "Namespace": alarm["Namespace"], "MetricName": alarm["MetricName"], "Statistic": alarm["Statistic"],
            "ComparisonOperator": alarm["ComparisonOperator"], "Threshold": alarm["Threshold"],
            "Dimensions": dimensions,
        });
        let should = json!({
            "Namespace": "PageviewPipeline", "MetricName": "s3.lost.offsets", "Statistic": "Sum",
            "ComparisonOperator": "GreaterThanThreshold", "Threshold": 0.0,
            "Dimensions": [{"Name": "service", "Value": "s3-sink"}, {"Name": "writer", "Value": writer}],
        });
        ensure!(looks_at == should, "{name} looks at {looks_at}");
    }
    Ok(())
}

async fn check_topic_and_dashboard(emulator: &Emulator) -> Result<()> {
    let topics = topics(emulator).await?;
    ensure!(topics.contains(TOPIC), "topics are {topics}");
    let dashboard = ask(emulator, CLOUDWATCH, "GetDashboard", &json!({"DashboardName": "pageviews"})).await?;
    let body: Value = serde_json::from_str(dashboard["DashboardBody"].as_str().context("no dashboard")?)?;
    let widgets = body["widgets"].as_array().context("no widgets")?;
    ensure!(widgets.len() == 13, "the dashboard is {body}");
    ensure!(widgets[0]["properties"]["alarms"].as_array().is_some_and(|alarms| alarms.len() == 34), "{body}");
    Ok(())
}

async fn check_tables(emulator: &Emulator) -> Result<()> {
    let answer = ask(emulator, GLUE, "GetTables", &json!({"DatabaseName": "pageviews"})).await?;
    let tables = answer["TableList"].as_array().with_context(|| format!("no tables: {answer}"))?;
    ensure!(tables.len() == 4, "tables are {answer}");
    let table = |name: &str| {
        let found = tables.iter().find(|table| table["Name"] == name);
        found.with_context(|| format!("no {name} among {answer}"))
    };
    let counts = "postcode:string window_start:string pageview_count:bigint";
    let events = "user_id:string postcode:string webpage:string timestamp:bigint event_id:string";
    for (name, columns, partitions, folder) in [
        ("raw", events, "dt:string hour:string", "raw/dt=${dt}/hour=${hour}/"),
        ("aggregates", counts, "dt:string", "aggregates/dt=${dt}/"),
        ("late", counts, "dt:string", "late/dt=${dt}/"),
    ] {
        let table = table(name)?;
        let storage = &table["StorageDescriptor"];
        let parameters = &table["Parameters"];
        ensure!(typed(&storage["Columns"]) == columns, "{table}");
        ensure!(typed(&table["PartitionKeys"]) == partitions, "{table}");
        ensure!(storage["Location"] == format!("s3://{}/{name}/", Emulator::BUCKET), "{table}");
        ensure!(
            parameters["storage.location.template"] == format!("s3://{}/{folder}", Emulator::BUCKET),
            "{table}"
        );
        ensure!(parameters["projection.enabled"] == "true", "{table}");
        ensure!(
            storage["SerdeInfo"]["SerializationLibrary"] == "org.openx.data.jsonserde.JsonSerDe",
            "{table}"
        );
    }

    let view = table("pageview_counts")?;
    ensure!(view["TableType"] == "VIRTUAL_VIEW" && view["Parameters"]["presto_view"] == "true", "{view}");
    let text = view["ViewOriginalText"].as_str().unwrap_or_default();
    let encoded = text.strip_prefix("/* Presto View: ").and_then(|text| text.strip_suffix(" */"));
    let definition: Value =
        serde_json::from_slice(&BASE64.decode(encoded.with_context(|| text.to_owned())?)?)?;
    let query = definition["originalSql"].as_str().unwrap_or_default();
    ensure!(definition["schema"] == "pageviews", "{definition}");
    ensure!(query.contains("SUM(pageview_count)"), "{query}");
    ensure!(query.contains("FROM aggregates\n") && query.contains("FROM late\n"), "{query}");
    Ok(())
}

/// Nothing changes, but for what the emulator does not tell of alarms.
fn check_plan(plan: &Value) -> Result<()> {
    let resources = plan["resource_changes"].as_array().context("no plan")?;
    ensure!(resources.len() > 40, "the plan looked at {} resources only", resources.len());
    for resource in resources {
        let (address, change) = (&resource["address"], &resource["change"]);
        if change["actions"] == json!(["no-op"]) {
            continue;
        }
        ensure!(
            resource["type"] == "aws_cloudwatch_metric_alarm" && change["actions"] == json!(["update"]),
            "a second plan does {} to {address}",
            change["actions"]
        );
        for (name, after) in change["after"].as_object().context("no values")? {
            ensure!(
                change["before"][name] == *after || DRIFT.contains(&name.as_str()),
                "a second plan changes {name} of {address} from {} to {after}",
                change["before"][name]
            );
        }
    }
    Ok(())
}

/// `name:type` of each.
fn typed(columns: &Value) -> String {
    let columns = columns.as_array().into_iter().flatten();
    let typed =
        columns.map(|column| [&column["Name"], &column["Type"]].map(|text| text.as_str().unwrap_or("?")));
    typed.map(|pair| pair.join(":")).collect::<Vec<_>>().join(" ")
}

/// Calls an API of the emulator, in AWS's JSON.
async fn ask(emulator: &Emulator, service: &str, action: &str, body: &Value) -> Result<Value> {
    let (scope, version) = match service {
        CLOUDWATCH => ("monitoring", "1.0"),
        _ => (GLUE, "1.1"),
    };
    let request = reqwest::Client::new()
        .post(emulator.endpoint())
        .header("authorization", signature(scope))
        .header("content-type", format!("application/x-amz-json-{version}"))
        .header("x-amz-target", format!("{service}.{action}"))
        .body(body.to_string());
    let text = send(request).await?;
    serde_json::from_str(&text).with_context(|| format!("{action} answers {text}"))
}

/// The topics, as XML.
async fn topics(emulator: &Emulator) -> Result<String> {
    let request = reqwest::Client::new()
        .post(emulator.endpoint())
        .header("authorization", signature("sns"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body("Action=ListTopics&Version=2010-03-31");
    send(request).await
}

/// The emulator checks none, but takes the service and the region from it.
fn signature(service: &str) -> String {
    let scope = format!("{}/{service}/aws4_request", Emulator::REGION);
    format!("AWS4-HMAC-SHA256 Credential=test/20260101/{scope}, SignedHeaders=host, Signature=none")
}

async fn send(request: reqwest::RequestBuilder) -> Result<String> {
    let response = request.send().await?;
    let (status, text) = (response.status(), response.text().await?);
    ensure!(status.is_success(), "the emulator answers {status}: {text}");
    Ok(text)
}
