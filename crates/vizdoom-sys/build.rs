//! Compiles libvizdoom and the shim, links Boost statically, and (feature `buildtime-bindgen`) makes the bindings.
//!
//! The sources are looked for in `$VIZDOOM_DIR/src` and else in `vendor/vizdoom/src` of the workspace, where `cargo xtask setup`
//! puts them. Dependents get the directory as `DEP_VIZDOOM_DIR`.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

/// The version that the shim is written for; the engine refuses a library of another one.
const VERSION: &str = "1.3.2";

const LIBVIZDOOM: [&str; 7] = [
    "ViZDoomConfigLoader",
    "ViZDoomController",
    "ViZDoomExceptions",
    "ViZDoomGame",
    "ViZDoomPathHelpers",
    "ViZDoomSharedMemory",
    "ViZDoomUtilities",
];
const SHIM: [&str; 4] = ["vizdoom_shim", "game", "process", "queue"];
/// What the static libraries of Boost need of each other comes last.
const BOOST: [&str; 4] = ["boost_filesystem", "boost_thread", "boost_chrono", "boost_atomic"];

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    println!("cargo:rerun-if-env-changed=VIZDOOM_DIR");
    println!("cargo:rerun-if-env-changed=BOOST_LIB_DIR");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=shim");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let root = vizdoom_dir()?;
    println!("cargo:dir={}", root.display());
    println!("cargo:rustc-env=VIZDOOM_BUILT_WITH={}", root.display());
    let lib = root.join("src/src/lib");
    println!("cargo:rerun-if-changed={}", lib.display());
    println!("cargo:rerun-if-changed={}", root.join("src/include").display());
    write_version(&lib, &out)?;
    compile(&root, &out);
    link_boost();
    #[cfg(feature = "buildtime-bindgen")]
    make_bindings(&out)?;
    Ok(())
}

fn vizdoom_dir() -> Result<PathBuf> {
    let manifest = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let (root, whence) = match env::var_os("VIZDOOM_DIR") {
        Some(dir) => (PathBuf::from(dir), "VIZDOOM_DIR says so"),
        None => (manifest.join("../../vendor/vizdoom"), "VIZDOOM_DIR is not set"),
    };
    let needed = ["src/include/ViZDoomGame.h", "src/src/lib/ViZDoomController.cpp", "src/src/vizdoom/src/viz_doom_classes.h"];
    for file in needed {
        if !root.join(file).is_file() {
            return Err(format!(
                "ViZDoom's sources are missing: no {file} in {} ({whence}). Run `cargo xtask setup`, which fetches them, or build with \
                 --no-default-features, which does without the engine.",
                root.display()
            )
            .into());
        }
    }
    Ok(root.canonicalize()?)
}

/// `ViZDoomVersion.h`, which upstream's own build generates: the version, and as a number its digits.
fn write_version(lib: &Path, out: &Path) -> io::Result<()> {
    let digits: String = VERSION.chars().filter(char::is_ascii_digit).collect();
    let template = fs::read_to_string(lib.join("ViZDoomVersion.h.in"))?;
    let text = template.replace("@ViZDoom_VERSION_ID@", &digits).replace("@ViZDoom_VERSION_STR@", VERSION);
    let file = out.join("include/ViZDoomVersion.h");
    fs::create_dir_all(out.join("include"))?;
    if fs::read_to_string(&file).ok().as_deref() != Some(&text) {
        fs::write(file, text)?;
    }
    Ok(())
}

fn compile(root: &Path, out: &Path) {
    let lib = root.join("src/src/lib");
    let settings = || {
        let mut build = cc::Build::new();
        // libvizdoom brings a boost/process.hpp of its own, which must win over the system's.
        build.cpp(true).std("c++17").include(&lib).include(root.join("src/include")).include(out.join("include")).include("shim");
        build.define("BOOST_ALLOW_DEPRECATED_HEADERS", None).define("BOOST_BIND_GLOBAL_PLACEHOLDERS", None);
        build.opt_level(2).debug(false);
        build
    };
    settings().warnings(false).files(LIBVIZDOOM.iter().map(|name| lib.join(format!("{name}.cpp")))).compile("vizdoom_upstream_only");
    // `private` is in the way of frames without copies and of starting the engine ourselves; only the shim looks past it.
    settings()
        .warnings(false)
        .flag("-fno-access-control")
        .files(SHIM.iter().map(|name| format!("shim/{name}.cpp")))
        .compile("vizdoom_shim");
    // Once more, after the shim that needs it: a linker that goes from left to right takes it from here.
    println!("cargo:rustc-link-lib=static=vizdoom_upstream_only");
}

fn link_boost() {
    let directory = env::var("BOOST_LIB_DIR").ok().map(PathBuf::from).or_else(|| {
        let arch = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
        [format!("/usr/lib/{arch}-linux-gnu"), "/usr/lib64".into(), "/usr/lib".into(), "/opt/homebrew/lib".into(), "/usr/local/lib".into()]
            .into_iter()
            .map(PathBuf::from)
            .find(|dir| dir.join("libboost_thread.a").is_file())
    });
    if let Some(directory) = directory {
        println!("cargo:rustc-link-search=native={}", directory.display());
    } else {
        println!("cargo:warning=no static Boost found; `cargo xtask setup` installs it, BOOST_LIB_DIR points at one");
    }
    for library in BOOST {
        println!("cargo:rustc-link-lib=static={library}");
    }
    if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo:rustc-link-lib=rt");
    }
}

#[cfg(feature = "buildtime-bindgen")]
fn make_bindings(out: &Path) -> Result<()> {
    bindgen::Builder::default()
        .header("shim/vizdoom_shim.h")
        .allowlist_item("vz_.*|VZ_.*")
        .default_enum_style(bindgen::EnumVariation::ModuleConsts)
        .prepend_enum_name(false)
        .use_core()
        .layout_tests(true)
        .formatter(bindgen::Formatter::Prettyplease)
        .generate_comments(true)
        .disable_header_comment()
        .generate()?
        .write_to_file(out.join("bindings.rs"))?;
    Ok(())
}
