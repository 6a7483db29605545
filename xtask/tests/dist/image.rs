use crate::{example, file, printed, unpack};
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::Path,
    process::Command,
};

/// As an engine does it: the layers are unpacked, and started by runc with what the image says of
/// user and command. The root is read-only, the network has no way out, and /work is the project.
struct Bundle<'a> {
    dir: &'a Path,
    config: Value,
}

impl Bundle<'_> {
    fn unpacked(dir: &Path) -> Bundle<'_> {
        let image = dir.join("image");
        fs::create_dir(&image).unwrap();
        unpack(&file("reverse-sync-", "-image.tar"), &image);
        let index: Value =
            serde_json::from_slice(&fs::read(image.join("index.json")).unwrap()).unwrap();
        let tag = &index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"];
        let mut umoci = Command::new("umoci");
        umoci.arg("unpack").arg("--image").arg(format!("image:{}", tag.as_str().unwrap()));
        printed(umoci.arg("bundle").current_dir(dir));
        let config = fs::read(dir.join("bundle/config.json")).unwrap();
        Bundle { dir, config: serde_json::from_slice(&config).unwrap() }
    }

    fn run(&self, project: &Path, arguments: &[&str]) -> String {
        let mut config = self.config.clone();
        config["root"]["readonly"] = json!(true);
        let process = &mut config["process"];
        process["terminal"] = json!(false);
        let entrypoint = process["args"][0].clone();
        process["args"] =
            [&[entrypoint][..], &arguments.iter().map(|a| json!(a)).collect::<Vec<_>>()]
                .concat()
                .into();
        let mounts = config["mounts"].as_array_mut().unwrap();
        mounts.retain(|mount| mount["type"] != "cgroup");
        mounts.push(json!({"destination": "/work", "type": "bind", "source": project, "options": ["rbind", "rw"]}));
        let bundle = self.dir.join("bundle");
        fs::write(bundle.join("config.json"), config.to_string()).unwrap();
        let id = format!("reverse-sync-{}", std::process::id());
        let mut runc = Command::new("runc");
        runc.arg("--root").arg(self.dir.join("runc")).args(["run", &id]).current_dir(&bundle);
        printed(&mut runc)
    }
}

#[test]
#[ignore = "needs root, umoci and runc: .ci/install test"]
fn the_image_runs_as_nobody_on_a_root_that_is_read_only() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = Bundle::unpacked(dir.path());
    let user = &bundle.config["process"]["user"];
    assert_eq!((&user["uid"], &user["gid"]), (&json!(65532), &json!(65532)));
    let files = dir.path().join("bundle/rootfs");
    for absent in ["bin/sh", "usr/bin/sh", "etc/ssl"] {
        assert!(!files.join(absent).exists(), "{absent}");
    }
    for library in ["libc6", "libgcc-s1"] {
        let known = fs::read_to_string(files.join("var/lib/dpkg/status.d").join(library)).unwrap();
        assert!(known.contains("\nVersion: "), "{known}");
        assert!(files.join("usr/share/doc").join(library).join("copyright").is_file(), "{library}");
    }

    let project = dir.path().join("project");
    fs::create_dir(&project).unwrap();
    chown(&project, Some(65532), Some(65532)).unwrap();
    fs::set_permissions(&project, fs::Permissions::from_mode(0o700)).unwrap();
    let command = |arguments: &[&str]| {
        // What this test wrote is for the container's user to read.
        for entry in fs::read_dir(&project).unwrap() {
            chown(entry.unwrap().path(), Some(65532), Some(65532)).unwrap();
        }
        bundle.run(&project, arguments)
    };
    assert!(command(&["--version"]).starts_with("reverse-sync "));
    example::plans_the_example(&project, command);
    example::plans_a_file_of_its_own(&project, command);
    assert_eq!(fs::metadata(project.join("reverse-sync.toml")).unwrap().uid(), 65532);
}
