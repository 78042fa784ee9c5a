//! What the store promises, shown against damage, kills, power failures and a plain model.

mod basics;
mod crash;
mod damage;
mod editions;
mod model;
mod power;
