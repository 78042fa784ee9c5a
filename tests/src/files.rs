//! Files made to break whoever loads them: a working plugin with something appended that is large,
//! deep or long to compile. Written byte by byte, since no tool would.

/// A component's first bytes.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
/// A core module's first bytes.
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// A section: its number, its length, its content.
fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [&[id], number(content.len()).as_slice(), content].concat()
}

/// A number as WebAssembly writes it.
fn number(mut of: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(of & 0x7f).unwrap_or_default();
        of >>= 7;
        bytes.push(if of > 0 { low | 0x80 } else { low });
        if of == 0 {
            return bytes;
        }
    }
}

/// `plugin` with a core module of so many functions, none of which is ever called.
pub fn with_functions(plugin: &[u8], functions: usize) -> Vec<u8> {
    // No locals; a number comes and goes, over and over.
    let body = [&[0], [0x41, 7, 0x1a].repeat(20).as_slice(), &[0x0b]].concat();
    let body = [number(body.len()), body].concat();
    let count = number(functions);
    let module = [
        MODULE,
        &section(1, &[1, 0x60, 0, 0]),
        &section(3, &[count.clone(), vec![0; functions]].concat()),
        &section(10, &[count, body.repeat(functions)].concat()),
    ]
    .concat();
    [plugin, &section(1, &module)].concat()
}

/// `plugin` with a component in it, and one in that, and so on.
pub fn with_depth(plugin: &[u8], depth: usize) -> Vec<u8> {
    let mut inner = COMPONENT.to_vec();
    for _ in 0..depth {
        inner = [COMPONENT, &section(4, &inner)].concat();
    }
    [plugin, &section(4, &inner)].concat()
}
