-- Teacher's samples in which no answer was found
SELECT run_id, example, slot, model, question, text
FROM teacher_samples
WHERE polarity = 'unparsed'
ORDER BY run_id DESC, example, slot
LIMIT 50;
