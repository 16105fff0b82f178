mod columns;
mod formats;
mod make;
mod order;
mod refused;
