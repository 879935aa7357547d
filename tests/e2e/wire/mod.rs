//! Row by row of the wire's table: what travels is what the design says.

mod steps;
