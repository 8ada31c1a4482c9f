-- Teacher's samples in which no answer was found, and the rule that missed it
SELECT run_id, example, slot, model, rule, question, text
FROM teacher_samples
WHERE polarity = 'unparsed'
ORDER BY run_id DESC, example, slot
LIMIT 50;
