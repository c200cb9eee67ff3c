//! Models change while records stream in over a real socket: none is lost, and who decided says so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use common::{Brain, Sensor, bundle, flow, name, source, version};
use ganglion_brain::BrainConfig;
use ganglion_flow::Role;
use ganglion_proto::v1::models_client::ModelsClient;
use ganglion_proto::v1::{
    BrainStatusRequest, CanaryModelRequest, EventsRequest, ListModelsRequest, ModelList, RollbackModelRequest,
    ShadowModelRequest, UseModelRequest, brain_message, event, shadow_model_request,
};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;
use tonic::transport::Channel;
use tonic::{Code, Status};

const S: u64 = 1_000_000;

type Models = ModelsClient<Channel>;

async fn seat(models: &mut Models, folder: &Path) -> Result<ModelList, Status> {
    let bundles = vec![name(folder)];
    Ok(models.r#use(UseModelRequest { bundles }).await?.into_inner())
}

async fn canary(models: &mut Models, folder: &Path, share: f64) -> Result<ModelList, Status> {
    let bundles = vec![name(folder)];
    Ok(models.canary(CanaryModelRequest { bundles, share }).await?.into_inner())
}

async fn shadow(models: &mut Models, folder: &Path) -> Result<ModelList, Status> {
    let of = Some(shadow_model_request::Of::Bundle(name(folder)));
    Ok(models.shadow(ShadowModelRequest { of }).await?.into_inner())
}

async fn no_shadow(models: &mut Models, name: &str) -> Result<ModelList, Status> {
    let of = Some(shadow_model_request::Of::Off(name.into()));
    Ok(models.shadow(ShadowModelRequest { of }).await?.into_inner())
}

async fn rollback(models: &mut Models) -> Result<ModelList, Status> {
    Ok(models.rollback(RollbackModelRequest {}).await?.into_inner())
}

async fn list(models: &mut Models) -> ModelList {
    models.list(ListModelsRequest {}).await.unwrap().into_inner()
}

/// "active test-tiny 1, shadow test-tiny 2".
fn roles(list: &ModelList) -> String {
    list.models.iter().map(|model| format!("{} {}", model.role, model.name)).collect::<Vec<_>>().join(", ")
}

fn scrape(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// Sum of a family's series that hold `label`.
fn sum(text: &str, family: &str, label: &str) -> u64 {
    let of_family = text.lines().filter(|line| line.split(['{', ' ']).next() == Some(family) && line.contains(label));
    of_family.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() as u64).sum()
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_record_is_lost_while_models_change() {
    let metrics = free_address();
    let brain = Brain::start(|config| config.metrics = Some(metrics)).await;
    let (two, three) = (version("2"), version("3"));
    let mut sensor = Sensor::connect(&brain).await;
    sensor.next().await;
    let mut models = brain.models().await;
    const BATCHES: u64 = 300;
    const EACH: u32 = 40;
    let feeding = tokio::spawn(async move {
        for batch in 0..BATCHES {
            let one = |n: u32| flow(&format!("198.18.{}.{}", 2 + n, batch % 250), 80, 12, S + batch * 10_000);
            sensor.records(EACH, (0..EACH).flat_map(one).collect()).await;
            tokio::time::sleep(Duration::from_millis(8)).await;
        }
        let mut judged = 0;
        while judged < BATCHES {
            if let brain_message::Of::Judged(all) = sensor.next().await {
                judged = all.sequence;
            }
        }
        sensor
    });
    let mut changes = 0;
    while !feeding.is_finished() {
        seat(&mut models, two.path()).await.unwrap();
        canary(&mut models, three.path(), 0.3).await.unwrap();
        rollback(&mut models).await.unwrap();
        shadow(&mut models, three.path()).await.unwrap();
        seat(&mut models, three.path()).await.unwrap();
        rollback(&mut models).await.unwrap();
        seat(&mut models, &bundle()).await.unwrap();
        changes += 7;
    }
    let _sensor = feeding.await.unwrap();
    assert!(changes > 7, "changes went on while records came");
    let text = tokio::task::spawn_blocking(move || scrape(metrics)).await.unwrap();
    let produced = BATCHES * u64::from(EACH);
    let received = sum(&text, "ganglion_brain_records_received_total", "");
    let rows = sum(&text, "ganglion_brain_rows_total", "");
    let (shed, refused) =
        (sum(&text, "ganglion_brain_records_shed_total", ""), sum(&text, "ganglion_brain_records_refused_total", ""));
    let queued = sum(&text, "ganglion_brain_records_queued", "");
    println!(
        "{changes} changes; produced {produced} = judged {rows} + shed {shed} + refused {refused} + queued {queued}"
    );
    assert_eq!((received, rows, shed, refused, queued), (produced, produced, 0, 0, 0));
    brain.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_decided_stands_in_the_alert() {
    let brain = Brain::start(|_| ()).await;
    let (two, three) = (version("2"), version("3"));
    let mut models = brain.models().await;
    let mut sensor = Sensor::connect(&brain).await;
    sensor.next().await;
    let request = EventsRequest { kinds: vec!["alert".into()], backlog: 0 };
    let mut alerts = brain.client().await.events(request).await.unwrap().into_inner();
    let mut scanner = 0;
    let mut decided_by = async |models: &str| {
        scanner += 1;
        let addr = format!("198.18.9.{scanner}");
        let records = [source(&addr, Role::Source, 8, S), source(&addr, Role::Source, 32, S + 1)].concat();
        sensor.records(2, records).await;
        let Some(event::Of::Alert(alert)) = alerts.message().await.unwrap().unwrap().of else { panic!("no alert") };
        assert_eq!(alert.bundle_id, models);
    };
    decided_by("test-tiny 1").await;
    assert_eq!(roles(&seat(&mut models, two.path()).await.unwrap()), "active test-tiny 2, previous test-tiny 1");
    decided_by("test-tiny 2").await;
    canary(&mut models, three.path(), 0.9999999).await.unwrap();
    decided_by("test-tiny 3").await;
    rollback(&mut models).await.unwrap();
    decided_by("test-tiny 2").await;
    let bundles = vec![name(two.path()), name(three.path())];
    let voting = models.r#use(UseModelRequest { bundles }).await.unwrap().into_inner();
    assert_eq!(roles(&voting), "active test-tiny 2, active test-tiny 3, previous test-tiny 2");
    decided_by("vote(test-tiny 2, test-tiny 3)").await;
    assert!(shadow(&mut models, &bundle()).await.unwrap().models.iter().any(|model| model.role == "shadow"));
    decided_by("vote(test-tiny 2, test-tiny 3)").await;
    let status = brain.client().await.status(BrainStatusRequest {}).await.unwrap().into_inner();
    assert_eq!(status.bundle_id, "vote(test-tiny 2, test-tiny 3)");
    brain.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shadows_are_counted_and_their_series_go_with_them() {
    let metrics = free_address();
    let brain = Brain::start(|config| config.metrics = Some(metrics)).await;
    let two = version("2");
    let mut models = brain.models().await;
    shadow(&mut models, two.path()).await.unwrap();
    let mut sensor = Sensor::connect(&brain).await;
    sensor.next().await;
    sensor.records(3, flow("198.18.2.2", 80, 12, S).repeat(3)).await;
    let seen = async |models: &mut Models| {
        for _ in 0..200 {
            let now = list(models).await;
            let of = now.models.iter().find(|model| model.role == "shadow").unwrap().clone();
            if of.rows == 3 && of.alike == 3 {
                return of;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the shadow saw nothing: {:?}", list(models).await)
    };
    let of = seen(&mut models).await;
    assert_eq!((of.alike, of.unlike, of.share, of.trust.as_str()), (3, 0, 0.0, "unsigned"));
    let text = tokio::task::spawn_blocking(move || scrape(metrics)).await.unwrap();
    for (family, due) in [
        ("ganglion_brain_model_rows_total", 3),
        ("ganglion_brain_model_inference_seconds_count", 1),
        ("ganglion_brain_model_anomaly_ratio_count", 3),
        ("ganglion_brain_model_probability_count", 12),
    ] {
        assert_eq!(sum(&text, family, "test-tiny 2"), due, "{family}\n{text}");
    }
    assert!(text.contains("role=\"shadow\"") && text.contains("role=\"active\""));
    no_shadow(&mut models, "test-tiny").await.unwrap();
    assert_eq!(roles(&list(&mut models).await), "active test-tiny 1");
    assert_eq!(no_shadow(&mut models, "x").await.unwrap_err().code(), Code::FailedPrecondition);
    // The observer lets go of the model within its period.
    for _ in 0..400 {
        let text = tokio::task::spawn_blocking(move || scrape(metrics)).await.unwrap();
        if !text.contains("test-tiny 2") {
            brain.stop().await;
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("series of a model that is gone stay");
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_that_make_no_sense_change_nothing() {
    let brain = Brain::start(|_| ()).await;
    let two = version("2");
    let mut models = brain.models().await;
    let refused = |status: Result<ModelList, Status>, code: Code, word: &str| {
        let status = status.unwrap_err();
        println!("{}", status.message());
        assert!(status.code() == code && status.message().contains(word), "{status:?}");
    };
    refused(rollback(&mut models).await, Code::FailedPrecondition, "nothing to go back to");
    refused(seat(&mut models, &bundle()).await, Code::FailedPrecondition, "decides already");
    refused(shadow(&mut models, &bundle()).await, Code::FailedPrecondition, "decides already");
    for share in [0.0, 1.0, -3.0, f64::NAN, f64::INFINITY] {
        refused(canary(&mut models, two.path(), share).await, Code::FailedPrecondition, "share");
    }
    for bundle in ["relative/path".to_owned(), String::new(), "/".repeat(5_000)] {
        let answer = models.r#use(UseModelRequest { bundles: vec![bundle] }).await;
        refused(answer.map(tonic::Response::into_inner), Code::InvalidArgument, "absolute path");
    }
    let answer = models.r#use(UseModelRequest { bundles: vec!["/nonexistent".into()] }).await;
    refused(answer.map(tonic::Response::into_inner), Code::InvalidArgument, "/nonexistent");
    std::fs::write(two.path().join("model.onnx"), "junk").unwrap();
    refused(seat(&mut models, two.path()).await, Code::InvalidArgument, "tampered");
    let empty = models.shadow(ShadowModelRequest { of: None }).await;
    refused(empty.map(tonic::Response::into_inner), Code::InvalidArgument, "neither");
    assert_eq!(roles(&list(&mut models).await), "active test-tiny 1");
    brain.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_leaves_no_half_change() {
    let brain = Brain::start(|_| ()).await;
    let two = version("2");
    let mut models = brain.models().await;
    for wait_ms in 0..12 {
        for folder in [two.path(), &bundle()] {
            let order = seat(&mut models, folder);
            // Whether it came through in time or not.
            let _ = tokio::time::timeout(Duration::from_millis(wait_ms * 3), order).await;
        }
    }
    // Behind all of them, so that none is under way any more.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let other = version("3");
    assert!(roles(&seat(&mut models, other.path()).await.unwrap()).starts_with("active test-tiny 3, previous"));
    let mut sensor = Sensor::connect(&brain).await;
    sensor.next().await;
    sensor.records(1, flow("198.18.2.2", 80, 12, S)).await;
    sensor.next().await;
    let counted = list(&mut models).await.models;
    assert_eq!(counted.iter().map(|model| (model.name.as_str(), model.rows)).next(), Some(("test-tiny 3", 1)));
    brain.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_loopback_models_can_be_listed_and_not_changed() {
    let address = free_address();
    let config =
        BrainConfig { listen: address.to_string(), bundle: bundle(), allow_unsigned: true, ..BrainConfig::default() };
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(ganglion_brain::run(config, async {
        let _ = ended.await;
    }));
    let mut models = loop {
        match ModelsClient::connect(format!("http://{address}")).await {
            Ok(models) => break models,
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    assert_eq!(roles(&list(&mut models).await), "active test-tiny 1");
    let two = version("2");
    assert_eq!(seat(&mut models, two.path()).await.unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(rollback(&mut models).await.unwrap_err().code(), Code::PermissionDenied);
    end.send(()).unwrap();
    running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_decides_outlives_the_brain() {
    let state = tempfile::tempdir().unwrap();
    let (two, three, four) = (version("2"), version("3"), version("4"));
    let start = async |bundle: &Path| {
        let (bundle, state) = (bundle.to_owned(), state.path().to_owned());
        Brain::start(move |config| (config.bundle, config.state_dir) = (bundle, Some(state))).await
    };
    let brain = start(&bundle()).await;
    let mut models = brain.models().await;
    seat(&mut models, two.path()).await.unwrap();
    canary(&mut models, three.path(), 0.25).await.unwrap();
    let before = shadow(&mut models, four.path()).await.unwrap();
    brain.stop().await;

    let brain = start(&bundle()).await;
    let mut models = brain.models().await;
    let after = list(&mut models).await;
    assert_eq!(roles(&after), roles(&before));
    assert_eq!(after.models[1].share, 0.25);
    assert_eq!(roles(&rollback(&mut models).await.unwrap()), "active test-tiny 2, shadow test-tiny 4");
    brain.stop().await;

    // A bundle that was changed since comes back as nothing, the rest does.
    let manifest = four.path().join("manifest.json");
    std::fs::write(&manifest, std::fs::read_to_string(&manifest).unwrap() + " ").unwrap();
    let brain = start(&bundle()).await;
    assert_eq!(roles(&list(&mut brain.models().await).await), "active test-tiny 2");
    brain.stop().await;
    // Settings that name another bundle hold again.
    let brain = start(three.path()).await;
    assert_eq!(roles(&list(&mut brain.models().await).await), "active test-tiny 3");
    brain.stop().await;
    let brain = start(&bundle()).await;
    assert_eq!(roles(&list(&mut brain.models().await).await), "active test-tiny 1", "and what was kept is gone");
    seat(&mut brain.models().await, two.path()).await.unwrap();
    brain.stop().await;
    // Garbage is nothing, and the settings hold.
    std::fs::write(state.path().join("models.json"), "{\"format\":").unwrap();
    let brain = start(&bundle()).await;
    assert_eq!(roles(&list(&mut brain.models().await).await), "active test-tiny 1");
    brain.stop().await;
}
