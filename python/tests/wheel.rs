//! The module's own tests (pytest, beside this file), from the built wheel in an empty environment.

use reverse_sync_tests::{printed, xtask};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

#[test]
#[ignore = "needs Python: .ci/install test"]
fn the_wheel_passes_its_tests_in_an_empty_environment() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let target = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
    let tools = target.join("tools/python");
    let simulator = target.join("debug/crm-simulator");
    for (found, made_by) in [(&tools, ".ci/install test"), (&simulator, "cargo build")] {
        assert!(found.exists(), "{} is not there: `{made_by}` makes it", found.display());
    }

    let wheel = PathBuf::from(xtask(&["wheel"], &target).lines().last().unwrap());
    let tag = wheel.file_stem().unwrap().to_str().unwrap().rsplit_once('-').unwrap().1;
    assert!(wheel.display().to_string().contains("-cp311-abi3-manylinux_2_"), "{wheel:?}");
    // auditwheel looks at every symbol and library, and names the oldest system that has them.
    let audited =
        printed(Command::new(tools.join("bin/auditwheel")).args(["show", "--json"]).arg(&wheel));
    assert!(audited.contains(&format!("\"{tag}\"")), "{wheel:?}: {audited}");

    let dir = tempfile::tempdir().unwrap();
    let (python, tool) = (dir.path().join("bin/python"), tools.join("bin/python"));
    printed(Command::new(&tool).args(["-m", "venv", "--without-pip"]).arg(dir.path()));
    printed(
        Command::new(&tool)
            .args(["-m", "pip", "--quiet", "--disable-pip-version-check", "--python"])
            .arg(&python)
            .args(["install", "--no-index"])
            .arg(&wheel),
    );
    let version = "import reverse_sync; print(reverse_sync.__version__)";
    let version = printed(Command::new(&python).args(["-I", "-c", version]));
    let command = printed(Command::new(dir.path().join("bin/reverse-sync")).arg("--version"));
    assert_eq!(command, format!("reverse-sync {version}"));

    // Beside it, what hands it records, and what tests it.
    let packages = |python: &Path| {
        let asked = "import sysconfig; print(sysconfig.get_path('purelib'))";
        printed(Command::new(python).args(["-c", asked])).trim().to_owned()
    };
    let beside = Path::new(&packages(&python)).join("tools.pth");
    fs::write(beside, packages(&tool)).unwrap();
    let tests = Command::new(&python)
        .args(["-B", "-m", "pytest", "-q", "-p", "no:cacheprovider"])
        .arg(root.join("python/tests"))
        // Not where the sources of the module would be found first.
        .current_dir(dir.path())
        .env("REVERSE_SYNC_SIMULATOR", simulator)
        .env_remove("HUBSPOT_TOKEN")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&tests.stdout);
    assert!(tests.status.success(), "{said}\n{}", String::from_utf8_lossy(&tests.stderr));
    assert!(said.contains(" passed") && !said.contains("skipped"), "{said}");
}
