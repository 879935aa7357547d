//! Row by row of the wire's table: what travels is what the design says.

mod control;
mod episodes;
mod health;
mod steps;
mod system;
