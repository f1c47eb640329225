//! Reading Python pickles of weights. A pickle is a program for a stack machine that may call
//! anything; here it is parsed into records, and nothing is called or looked up: an allow-list says
//! which names mean what, and every other name and opcode is refused.
//!
//! Memory and time are bounded by the length of the pickle: each opcode makes at most one record,
//! and records that are used again are not copied.

mod globals;
mod opcodes;
mod tensors;
mod value;

use globals::Global;
use packshot_core::{Error, Result};
use std::collections::HashMap;

pub(super) use value::{Heap, Node, Tensor, Value};

/// Largest pickle that is read. Those of networks with a thousand tensors have 200 KB.
pub(super) const MAX_BYTES: u64 = 16 << 20;
/// Newest pickle protocol.
const NEWEST_PROTOCOL: u8 = 5;
const SAVE_HINT: &str =
    "save the weights alone: torch.save(model.state_dict(), \"weights.pt\"), or as safetensors";

/// What a pickle holds.
#[derive(Debug)]
pub(super) struct Pickle {
    /// Its value.
    pub(super) root: Value,
    /// Its containers.
    pub(super) heap: Heap,
    /// How many bytes it took.
    pub(super) len: usize,
}

/// Reads the pickle at the start of `bytes`; what follows it is left alone.
///
/// # Errors
/// `BadInput` for a broken one, `Unsupported` for names and opcodes that are not on the list.
pub(super) fn parse(bytes: &[u8]) -> Result<Pickle> {
    let mut machine = Machine {
        bytes,
        at: 0,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        heap: Heap::default(),
        copies_left: bytes.len() + 1024,
    };
    let root = loop {
        let start = machine.at;
        match machine.step() {
            Ok(Some(root)) => break root,
            Ok(None) => {}
            Err(error) => return Err(error.at(format!("pickle byte {start}"))),
        }
    };
    Ok(Pickle {
        root,
        heap: machine.heap,
        len: machine.at,
    })
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
    heap: Heap,
    /// How many more values may be copied out of containers.
    copies_left: usize,
}

impl<'a> Machine<'a> {
    /// Does one opcode; gives the result at the last one.
    fn step(&mut self) -> Result<Option<Value>> {
        let opcode = self.take(1)?[0];
        match opcode {
            b'.' => return self.pop().map(Some),
            0x80 => {
                let protocol = self.take(1)?[0];
                if protocol > NEWEST_PROTOCOL {
                    return Err(Error::unsupported(format!("pickle protocol {protocol}"))
                        .with_hint(SAVE_HINT));
                }
            }
            // Frames only help a reader that buffers.
            0x95 => drop(self.take(8)?),
            b'(' => self.marks.push(self.stack.len()),
            b'0' => self.discard()?,
            b'1' => drop(self.pop_to_mark()?),
            b'2' => {
                let top = self.peek()?.clone();
                self.stack.push(top);
            }
            b'N' | 0x88 | 0x89 | b'J' | b'K' | b'M' | b'G' | 0x8a | 0x8b => {
                let value = self.scalar(opcode)?;
                self.stack.push(value);
            }
            b'X' | 0x8c | 0x8d | b'T' | b'U' | b'B' | b'C' | 0x8e | 0x96 => {
                let value = self.text_or_bytes(opcode)?;
                self.stack.push(value);
            }
            b'q' | b'r' | 0x94 | b'h' | b'j' => self.memo(opcode)?,
            b')' | b'}' | b']' | 0x8f => self.add(match opcode {
                b')' => Node::Tuple(Vec::new()),
                b'}' => Node::Dict(Vec::new()),
                _ => Node::List(Vec::new()),
            }),
            0x85..=0x87 => {
                let start = self.below(usize::from(opcode - 0x84))?;
                let items = self.stack.split_off(start);
                self.add(Node::Tuple(items));
            }
            b't' | 0x91 => {
                let items = self.pop_to_mark()?;
                self.add(Node::Tuple(items));
            }
            b'l' => {
                let items = self.pop_to_mark()?;
                self.add(Node::List(items));
            }
            b'd' => {
                let items = self.pop_to_mark()?;
                self.add(Node::Dict(pairs(items)?));
            }
            b'a' | b'e' | 0x90 => {
                let items = match opcode {
                    b'a' => vec![self.pop()?],
                    _ => self.pop_to_mark()?,
                };
                self.append(items)?;
            }
            b's' | b'u' => {
                let items = match opcode {
                    b's' => self.stack.split_off(self.below(2)?),
                    _ => self.pop_to_mark()?,
                };
                self.set_items(pairs(items)?)?;
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(module, name)?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Value::Str(module), Value::Str(name)) = (module, name) else {
                    return Err(Error::bad_input("a global whose name is no text"));
                };
                self.global(&module, &name)?;
            }
            b'Q' => {
                let id = self.pop()?;
                let storage = tensors::storage(&self.heap, &id)?;
                self.add(storage);
            }
            b'R' => self.reduce()?,
            0x81 => {
                let (_, class) = (self.pop()?, self.pop()?);
                self.new_object(&class)?;
            }
            0x92 => {
                let (_, _, class) = (self.pop()?, self.pop()?, self.pop()?);
                self.new_object(&class)?;
            }
            b'b' => self.build()?,
            other => {
                return Err(match opcodes::name(other) {
                    Some(name) => {
                        Error::unsupported(format!("the pickle opcode {name}")).with_hint(SAVE_HINT)
                    }
                    None => Error::bad_input(format!("the byte 0x{other:02x} is no pickle opcode"))
                        .with_hint("the file may be damaged; get it again"),
                });
            }
        }
        Ok(None)
    }

    fn scalar(&mut self, opcode: u8) -> Result<Value> {
        Ok(match opcode {
            b'N' => Value::None,
            0x88 => Value::Bool(true),
            0x89 => Value::Bool(false),
            b'J' => Value::Int(self.number(4)? as u32 as i32 as i64),
            b'K' => Value::Int(self.number(1)? as i64),
            b'M' => Value::Int(self.number(2)? as i64),
            b'G' => {
                self.take(8)?;
                Value::Opaque
            }
            _ => {
                let len = self.number(if opcode == 0x8a { 1 } else { 4 })?;
                let bytes = self.take(len as usize)?;
                match bytes.last() {
                    None => Value::Int(0),
                    Some(&top) if bytes.len() <= 8 => {
                        // Two's complement: the sign fills the missing bytes.
                        let mut all = [if top & 0x80 == 0 { 0 } else { 0xff }; 8];
                        all[..bytes.len()].copy_from_slice(bytes);
                        Value::Int(i64::from_le_bytes(all))
                    }
                    Some(_) => Value::Long(bytes.into()),
                }
            }
        })
    }

    fn text_or_bytes(&mut self, opcode: u8) -> Result<Value> {
        let len = match opcode {
            0x8c | b'U' | b'C' => self.number(1)?,
            b'X' | b'T' | b'B' => self.number(4)?,
            _ => self.number(8)?,
        };
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let bytes = self.take(len)?;
        Ok(match opcode {
            b'X' | 0x8c | 0x8d => Value::Str(
                std::str::from_utf8(bytes)
                    .map_err(|_| Error::bad_input("a text that is not UTF-8"))?
                    .into(),
            ),
            // Text of Python 2.
            b'T' | b'U' => match std::str::from_utf8(bytes) {
                Ok(text) => Value::Str(text.into()),
                Err(_) => Value::Opaque,
            },
            _ => Value::Opaque,
        })
    }

    fn memo(&mut self, opcode: u8) -> Result<()> {
        let index = match opcode {
            0x94 => self.memo.len() as u32,
            b'q' | b'h' => self.number(1)? as u32,
            _ => self.number(4)? as u32,
        };
        if matches!(opcode, b'h' | b'j') {
            let value = self
                .memo
                .get(&index)
                .ok_or_else(|| Error::bad_input(format!("nothing was remembered under {index}")))?;
            self.stack.push(value.clone());
        } else {
            let value = self.peek()?.clone();
            self.memo.insert(index, value);
        }
        Ok(())
    }

    fn global(&mut self, module: &str, name: &str) -> Result<()> {
        let global = globals::find(module, name).ok_or_else(|| {
            Error::unsupported(format!(
                "the pickle asks for {}, which is not among the names that weights need",
                globals::full_name(module, name)
            ))
            .with_hint(SAVE_HINT)
        })?;
        self.stack.push(Value::Global(global));
        Ok(())
    }

    /// A call in the pickle: what it would give, without calling.
    fn reduce(&mut self) -> Result<()> {
        let (arguments, callable) = (self.pop()?, self.pop()?);
        let Value::Global(global) = callable else {
            return Err(
                Error::unsupported("the pickle calls something that has no name")
                    .with_hint(SAVE_HINT),
            );
        };
        let arguments = self.arguments(&arguments)?;
        let value = self.call(&global, &arguments, true)?;
        self.stack.push(value);
        Ok(())
    }

    fn arguments(&mut self, tuple: &Value) -> Result<Vec<Value>> {
        let items = self
            .heap
            .items(tuple)
            .ok_or_else(|| Error::bad_input("a call whose arguments are no tuple"))?;
        spend(&mut self.copies_left, items.len())?;
        Ok(items.to_vec())
    }

    fn call(&mut self, global: &Global, arguments: &[Value], may_nest: bool) -> Result<Value> {
        let node = match (global, arguments) {
            (Global::RebuildTensor, _) => tensors::tensor(&self.heap, arguments, false)?,
            (Global::RebuildTensorV3, _) => tensors::tensor(&self.heap, arguments, true)?,
            (Global::First, [first, ..]) => return Ok(first.clone()),
            (Global::RebuildFromType, [Value::Global(inner), _, inner_arguments, ..])
                if may_nest =>
            {
                let inner = inner.clone();
                let inner_arguments = self.arguments(inner_arguments)?;
                return self.call(&inner, &inner_arguments, false);
            }
            (Global::Dict, _) => Node::Dict(self.dict_items(arguments)?),
            (Global::Script, _) => Node::Module(Value::None),
            (Global::Ignored, _) => return Ok(Value::Opaque),
            _ => return Err(Error::bad_input("a call that makes no sense")),
        };
        Ok(self.heap.add(node))
    }

    /// The entries that a dictionary is made of: none, or a list of pairs.
    fn dict_items(&mut self, arguments: &[Value]) -> Result<Vec<(Value, Value)>> {
        let list = arguments.iter().find_map(|value| self.heap.items(value));
        let list = list.unwrap_or_default();
        spend(&mut self.copies_left, 2 * list.len())?;
        list.iter()
            .map(|pair| match self.heap.items(pair) {
                Some([key, value]) => Ok((key.clone(), value.clone())),
                _ => Err(Error::bad_input(
                    "a dictionary made of something else than pairs",
                )),
            })
            .collect()
    }

    fn new_object(&mut self, class: &Value) -> Result<()> {
        let value = match class {
            Value::Global(Global::Script) => self.heap.add(Node::Module(Value::None)),
            Value::Global(Global::Dict) => self.heap.add(Node::Dict(Vec::new())),
            Value::Global(Global::Ignored | Global::TensorClass) => Value::Opaque,
            _ => {
                return Err(
                    Error::unsupported("an object of a class that weights do not need")
                        .with_hint(SAVE_HINT),
                );
            }
        };
        self.stack.push(value);
        Ok(())
    }

    /// Attributes for the object below: those of a module are kept, others do not matter
    /// (`_metadata` of a state dictionary).
    fn build(&mut self) -> Result<()> {
        let state = self.pop()?;
        let object = self.peek()?.clone();
        match self.heap.node_mut(&object) {
            Some(Node::Module(attributes)) => *attributes = state,
            Some(Node::Dict(_) | Node::Tensor(_)) => {}
            None if matches!(object, Value::Opaque) => {}
            _ => return Err(Error::bad_input("attributes for something that has none")),
        }
        Ok(())
    }

    fn append(&mut self, mut items: Vec<Value>) -> Result<()> {
        let list = self.peek()?.clone();
        match self.heap.node_mut(&list) {
            Some(Node::List(list)) => list.append(&mut items),
            None if matches!(list, Value::Opaque) => {}
            _ => return Err(Error::bad_input("items for something that is no list")),
        }
        Ok(())
    }

    fn set_items(&mut self, mut items: Vec<(Value, Value)>) -> Result<()> {
        let dict = self.peek()?.clone();
        match self.heap.node_mut(&dict) {
            Some(Node::Dict(entries)) => entries.append(&mut items),
            None if matches!(dict, Value::Opaque) => {}
            _ => {
                return Err(Error::bad_input(
                    "entries for something that is no dictionary",
                ));
            }
        }
        Ok(())
    }

    fn add(&mut self, node: Node) {
        let value = self.heap.add(node);
        self.stack.push(value);
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(n);
        let bytes = end.and_then(|end| self.bytes.get(self.at..end));
        let bytes = bytes.ok_or_else(|| {
            Error::bad_input("the pickle ends in the middle")
                .with_hint("the file may be cut short; get it again")
        })?;
        self.at += n;
        Ok(bytes)
    }

    fn number(&mut self, n: usize) -> Result<u64> {
        let bytes = self.take(n)?;
        Ok(bytes.iter().rev().fold(0, |v, &b| v << 8 | u64::from(b)))
    }

    fn line(&mut self) -> Result<&'a str> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let end = rest.iter().position(|&b| b == b'\n');
        let line = self.take(end.map_or(usize::MAX, |end| end + 1))?;
        std::str::from_utf8(&line[..line.len() - 1])
            .map_err(|_| Error::bad_input("a name that is not UTF-8"))
    }

    /// The height of the stack `n` values below its top, above the last mark.
    fn below(&self, n: usize) -> Result<usize> {
        let floor = self.marks.last().copied().unwrap_or(0);
        self.stack
            .len()
            .checked_sub(n)
            .filter(|&height| height >= floor)
            .ok_or_else(|| Error::bad_input("the pickle uses values that it has not made"))
    }

    fn peek(&self) -> Result<&Value> {
        Ok(&self.stack[self.below(1)?])
    }

    fn pop(&mut self) -> Result<Value> {
        self.below(1)?;
        self.stack
            .pop()
            .ok_or_else(|| Error::bad_input("the pickle uses values that it has not made"))
    }

    /// POP takes a mark away too.
    fn discard(&mut self) -> Result<()> {
        if self.marks.last() == Some(&self.stack.len()) {
            self.marks.pop();
            return Ok(());
        }
        self.pop().map(drop)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value>> {
        let mark = self
            .marks
            .pop()
            .ok_or_else(|| Error::bad_input("the pickle closes what it has not opened"))?;
        Ok(self.stack.split_off(mark))
    }
}

fn spend(budget: &mut usize, n: usize) -> Result<()> {
    *budget = budget
        .checked_sub(n)
        .ok_or_else(|| Error::bad_input("the pickle copies itself over and over"))?;
    Ok(())
}

fn pairs(items: Vec<Value>) -> Result<Vec<(Value, Value)>> {
    if !items.len().is_multiple_of(2) {
        return Err(Error::bad_input("a dictionary entry without a value"));
    }
    let mut items = items.into_iter();
    Ok(std::iter::from_fn(|| items.next().zip(items.next())).collect())
}

#[cfg(test)]
mod tests;
