mod hierarchy;
mod image_based;
mod jest;
mod kmeans;
mod make;
mod selection;
mod semdedup;
mod torch_file;
