use lifeboat_testing::*;
#[test]
fn zz_large() {
    let say = |s: &str| eprintln!("SAY {s}");
    let t = Tools::ready(&Part::ALL, &say).unwrap();
    println!("{:?} {}", t.synapse_version(), t.node_folder().display());
    let start = std::time::Instant::now();
    let w = World::open(Size::Large, &say).unwrap();
    println!("large ready {:?}", start.elapsed());
    let start = std::time::Instant::now();
    w.capture(&w.server, "x").unwrap();
    println!("captured {:?} {:?}", start.elapsed(), w.server.errors_in_log());
}
