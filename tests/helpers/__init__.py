"""What tests share: slides, results, trainings, reports made for them, and what they are held against."""
