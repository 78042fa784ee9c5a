//! A component like any other, but no plugin.
#![allow(unsafe_code, reason = "generated code")]

wit_bindgen::generate!({
    inline: r#"
        package other:thing@1.0.0;
        interface greeter { greet: func(name: string) -> string; }
        world greeting { export greeter; }
    "#,
    generate_all,
});

struct Guest;

impl exports::other::thing::greeter::Guest for Guest {
    fn greet(name: String) -> String {
        format!("Hello, {name}")
    }
}

export!(Guest);
